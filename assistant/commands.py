"""`homegrown chat`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from assistant.growers import Growers


def chat_command(growers: Growers, report_of: Callable[[str], Path | None]) -> Callable[..., None]:
    """The command; `growers` grow the default models when they are missing, `report_of(model)` finds a report."""

    def chat(
        model: Annotated[
            str | None,
            typer.Argument(help="A model's name, folder or Hugging Face id.", show_default="the promoted one"),
        ] = None,
        url: Annotated[str | None, typer.Option(help="Talk to the OpenAI-compatible API at this URL.")] = None,
        port: Annotated[int | None, typer.Option(help="Port to serve on.", show_default="8000")] = None,
        terminal: Annotated[bool, typer.Option("--terminal", help="Talk here instead of on a page.")] = False,
    ) -> None:
        """Talk to a model: grow the default one if there is none, serve it, and open the chat page.

        Pictures are drawn by the image model `images`. Beside the default model it is grown as well, in the background
        while the chat is open; HOMEGROWN_IMAGES=0 leaves pictures out, HOMEGROWN_IMAGE_MODEL names another model. Then
        the default model is aligned, and served if it got better; HOMEGROWN_ALIGNMENT=0 leaves that out.

        Without a terminal, the question is read from standard input and answered once.
        """
        from assistant.chat import chat_at, chat_here
        from serving.settings import read_settings

        if url:
            chat_at(url, model, report_of)
        else:
            on_page = sys.stdin.isatty() and not terminal
            chat_here(read_settings(port=port), model, growers, report_of, on_page)

    return chat
