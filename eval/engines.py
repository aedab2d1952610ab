"""What answers a run's questions: somebody's endpoint, or an engine of ours that serves the model meanwhile."""

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from eval.requests import Draw, Request
from serving.errors import UserError
from serving.home import home

BaseUrl = Callable[[], str]
"""Where it answers; a function because a restarted engine has another port."""


@contextmanager
def serving(model: str, requests: Sequence[Request], concurrency: int, api_key: str | None) -> Iterator[BaseUrl]:
    """Serve the model, by its folder or Hugging Face id, with the engine that `requests` ask for.

    Raises `UserError` when they ask for words and for pictures, or the model cannot be served so.
    """
    kinds = {isinstance(request, Draw) for request in requests}
    if len(kinds) > 1:
        raise UserError(
            "These suites ask for words and for pictures, and one model gives one of them: "
            "ask them in two runs, or of an endpoint that gives both with --base-url."
        )
    if kinds == {True}:
        with _drawing(model, concurrency, api_key) as url:
            yield lambda: url
        return
    from serving.text_engine import TextEngine

    with TextEngine(model, on_progress=partial(_show_start, "vLLM")) as engine:
        print(file=sys.stderr)
        yield lambda: engine.base_url


@contextmanager
def _drawing(model: str, concurrency: int, api_key: str | None) -> Iterator[str]:
    """The image engine behind our API, so that what is timed is what users wait for."""
    from serving.api.app import build_api, guarded
    from serving.image_engine import ImageEngine
    from serving.images.growth import growth
    from serving.server import HttpServer
    from serving.settings import read_settings

    settings = read_settings(host="127.0.0.1", api_key=api_key)
    engine = ImageEngine(
        model,
        dtype=settings.image_dtype,
        queue=max(concurrency, settings.image_queue),
        batch=settings.image_batch,
        loras=settings.image_loras,
        start_s=settings.engine_start_s,
        on_progress=partial(_show_start, "the image engine"),
    )
    is_ours = engine.folder.resolve().parent == (home() / "models").resolve()
    if is_ours and (progress := growth(engine.folder.name)):
        raise UserError(f"The model {model} is still learning ({progress}): evaluate it when it is done.")
    # No words are asked for here, and the API refuses them in the image model's name.
    api = guarded(build_api(settings, engine, engine), settings)
    with engine, socket.create_server(("127.0.0.1", 0)) as claimed, HttpServer(api, claimed) as server:
        print(file=sys.stderr)
        yield f"{server.url}/v1"


def _show_start(what: str, seconds: float, stage: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[Kstarting {what}  {seconds:.0f} s  {stage}", end="", file=sys.stderr, flush=True)
