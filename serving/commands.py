"""`homegrown serve`."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.api.app import Extension


def serve_command(extensions: "Sequence[Extension]") -> Callable[..., None]:
    """The command; `extensions` are what the rooms above add to the API."""

    def serve(
        model: Annotated[
            str | None,
            typer.Argument(help="A model's name, folder or Hugging Face id.", show_default="the promoted one"),
        ] = None,
        host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
        port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8000")] = None,
        engine_url: Annotated[
            str | None, typer.Option(help="Use the vLLM at this URL instead of starting one.")
        ] = None,
        max_model_len: Annotated[
            int | None, typer.Option(help="Context in tokens.", show_default="what the model allows")
        ] = None,
        kv_cache_gib: Annotated[
            int | None, typer.Option(help="Memory for the KV cache on CPUs.", show_default="by the model")
        ] = None,
        dtype: Annotated[
            str | None, typer.Option(help="bfloat16 or float32.", show_default="what the machine computes fastest")
        ] = None,
        image_model: Annotated[
            str | None, typer.Option(help="Draw pictures with this model.", show_default="images, once it is grown")
        ] = None,
        images: Annotated[
            bool | None, typer.Option("--images/--no-images", help="Draw pictures.", show_default="on")
        ] = None,
        supervise: Annotated[
            bool, typer.Option("--supervise", help="Start the server again whenever it dies.")
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Print how the engines are started, and stop.")
        ] = False,
    ) -> None:
        """Serve a model through vLLM behind an OpenAI-compatible API.

        Settings may also come from HOMEGROWN_* variables: HOMEGROWN_API_KEY sets the key that clients must send.
        """
        from serving.settings import read_settings

        settings = read_settings(
            host=host,
            port=port,
            engine_url=engine_url,
            max_model_len=max_model_len,
            kv_cache_gib=kv_cache_gib,
            dtype=dtype,
            image_model=image_model,
            images=images,
        )
        if supervise and not dry_run:
            from serving.supervisor import keep_running

            raise typer.Exit(keep_running([word for word in sys.argv if word != "--supervise"], settings.shutdown_s))

        from serving.serve import print_plan, run

        if dry_run:
            print_plan(settings, model)
        else:
            run(settings, model, extensions)

    return serve
