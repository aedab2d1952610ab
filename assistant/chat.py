"""What `homegrown chat` does: find or start a server, then hand over to the terminal."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.dialogue import ASSISTANT, Dialogue
from assistant.front_door import open_page, stay_open
from assistant.growers import Growers
from assistant.personas import Voice
from assistant.service import extension
from serving.engine import RemoteEngine
from serving.home import home
from serving.image_engine import DEFAULT_IMAGE_MODEL
from serving.images.growth import growth, last_growth, minutes
from serving.model_folder import resolve_model
from serving.registry import DEFAULT_MODEL, default_model, promoted
from serving.serve import clear_progress, serving_all
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from openai import OpenAI

Reports = Callable[[str], Path | None]
"""Where the newest report about a model is."""


def chat_at(url: str, model: str | None, report_of: Reports) -> None:
    """Talk to a model of somebody's API. Raises `EngineError` when nobody answers there."""
    key = os.environ.get("HOMEGROWN_API_KEY") or os.environ.get("OPENAI_API_KEY")
    remote = RemoteEngine(url, model, key)
    own = home() / "models" / remote.model_name
    _talk(remote.base_url, remote.model_name, Voice.of(own if own.is_dir() else None), key, report_of)


def chat_here(
    settings: ServingSettings, model: str | None, growers: Growers, report_of: Reports, on_page: bool
) -> None:
    """Talk to a model of this machine, served by us; one that we serve already is used as it is.

    With `on_page` in the browser, otherwise here.
    """
    # Without this, SIGTERM would leave the terminal in the line editor's mode.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if model is None and not settings.engine_url and not _has_default():
        growers.grow(DEFAULT_MODEL)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    served = f"http://{settings.host}:{settings.port}"
    if not settings.engine_url and (name := _already_served(served, model or default_model(), key)):
        if on_page:
            return open_page(served)
        _talk(f"{served}/v1", name, Voice.of(_folder(model or default_model())), key, report_of)
        return
    # The image engine, which serving() starts, must find that its model is on the way.
    with learning(settings, model, growers), serving_all(settings, model, [extension]) as served:
        url, engine, folder = served.url, served.engine, None
        if not isinstance(engine, RemoteEngine):
            engine.wait_ready()
            clear_progress()
            folder = engine.folder
        if on_page:
            open_page(url)
            return stay_open(served)
        _talk(f"{url}/v1", engine.model_name, Voice.of(folder), key, report_of, _still_learning)


def _has_default() -> bool:
    """Whether the model that is meant when none is named is there, and complete."""
    return promoted() is not None or Path(default_model(), "lineage.json").is_file()


@contextmanager
def learning(settings: ServingSettings, model: str | None, growers: Growers) -> Iterator[None]:
    """Beside the default model, grow the image model and align the assistant while the conversation lasts.

    Afterwards, say how far both are.
    """
    with ExitStack() as beside:
        # A single question would be answered before anything is learnt.
        if model is None and not settings.engine_url and sys.stdin.isatty():
            if settings.images and settings.image_model is None and growers.is_unfinished(DEFAULT_IMAGE_MODEL):
                beside.callback(_say_how_far)
                beside.enter_context(growers.growing(DEFAULT_IMAGE_MODEL))
            if settings.alignment:
                beside.enter_context(growers.aligning())
        yield


def _say_how_far() -> None:
    if so_far := last_growth(DEFAULT_IMAGE_MODEL):
        print(f"The image model is {round(100 * so_far.share)} % grown and goes on learning in the next chat.")


def _still_learning() -> str:
    """What there is to know of a picture just drawn."""
    so_far = growth(DEFAULT_IMAGE_MODEL)
    if so_far is None or so_far.seconds_left is None:
        return ""
    return f"(The image model is still learning: {round(100 * so_far.share)} %, {minutes(so_far.seconds_left)} to go.)"


def _talk(
    base_url: str,
    model: str,
    voice: Voice,
    key: str | None,
    report_of: Reports,
    of_pictures: Callable[[], str] = str,
) -> None:
    from openai import OpenAI

    from assistant.terminal import talk

    client = OpenAI(base_url=base_url, api_key=key or "none", max_retries=1)
    dialogue = Dialogue(client, model, None if _has_assistant(client, model) else voice)
    talk(dialogue, home() / "chat_history", report_of(model), of_pictures)


def _has_assistant(client: "OpenAI", model: str) -> bool:
    """Whether a Homegrown serves the model, which is the first that it lists, with the assistant in front of it."""
    ours = [card.id for card in client.models.list() if card.owned_by == "homegrown"]
    return ASSISTANT in ours and model in (ours[0], ASSISTANT)


def _folder(model: str) -> Path | None:
    folder = Path(resolve_model(model))
    return folder if folder.is_dir() else None


def _already_served(url: str, model: str, key: str | None) -> str | None:
    """The model's name when a Homegrown at `url` serves one of that name, else None."""
    folder = _folder(model)
    wanted = folder.resolve().name if folder else model
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/models", headers=headers), timeout=2) as answer:
            cards = json.load(answer)["data"]
        ours = [card["id"] for card in cards if card["owned_by"] == "homegrown"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return wanted if wanted in ours else None
