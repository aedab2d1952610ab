"""Engines and API together: what `homegrown serve` runs, and what the terminal chat runs behind itself."""

import contextlib
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from serving.api.app import Extension, build_api, guarded
from serving.child_engine import ChildEngine
from serving.engine import RemoteEngine
from serving.home import home
from serving.image_engine import DEFAULT_IMAGE_MODEL, ImageEngine, image_model_in_sight
from serving.server import HttpServer, claim_port
from serving.settings import ServingSettings
from serving.text_engine import TextEngine

DEFAULT_MODEL = "almanac"


def default_model() -> str:
    """The folder of the model that is meant when none is named."""
    return str(home() / "models" / DEFAULT_MODEL)


@contextlib.contextmanager
def serving(
    settings: ServingSettings, model: str | None, extensions: Sequence[Extension] = ()
) -> Iterator[tuple[str, TextEngine | RemoteEngine]]:
    """Serve while the block runs; yields the API's URL and the text engine, which may still be starting.

    Raises `UserError` when the port, a model or an engine cannot be used.
    """
    with _serving_both(settings, model, extensions) as (url, engine, _):
        yield url, engine


@contextlib.contextmanager
def _serving_both(
    settings: ServingSettings, model: str | None, extensions: Sequence[Extension]
) -> Iterator[tuple[str, TextEngine | RemoteEngine, ImageEngine | None]]:
    claimed = claim_port(settings)
    with claimed:
        engine = make_engine(settings, model)
        images = make_image_engine(settings, engine)
        children = [child for child in (engine, images) if isinstance(child, ChildEngine)]
        with HttpServer(guarded(build_api(settings, engine, images, extensions), settings), claimed) as server:
            try:
                for child in children:
                    child.start()
                yield server.url, engine, images
            finally:
                for child in children:
                    child.stop()


def make_engine(settings: ServingSettings, model: str | None) -> TextEngine | RemoteEngine:
    """The text engine that the settings ask for, not yet started."""
    if settings.engine_url:
        key = settings.engine_api_key
        return RemoteEngine(settings.engine_url, model, key.get_secret_value() if key else None)
    return TextEngine(
        model or default_model(),
        dtype=settings.dtype,
        max_model_len=settings.max_model_len,
        kv_cache_gib=settings.kv_cache_gib,
        start_s=settings.engine_start_s,
        on_progress=show_progress,
    )


def make_image_engine(settings: ServingSettings, engine: TextEngine | RemoteEngine) -> ImageEngine | None:
    """The image engine that the settings ask for, which starts after the text `engine`; None without an image model."""
    if not settings.images or not (settings.image_model or image_model_in_sight(DEFAULT_IMAGE_MODEL)):
        return None
    return ImageEngine(
        settings.image_model or DEFAULT_IMAGE_MODEL,
        dtype=settings.image_dtype,
        queue=settings.image_queue,
        batch=settings.image_batch,
        loras=settings.image_loras,
        start_s=settings.engine_start_s,
        after=engine.settled if isinstance(engine, TextEngine) else None,
    )


def run(settings: ServingSettings, model: str | None, extensions: Sequence[Extension] = ()) -> None:
    """Serve until SIGINT or SIGTERM, or until the text engine gives up (`EngineError`)."""
    started = time.monotonic()
    stop = _stop_signals()
    with _serving_both(settings, model, extensions) as (url, engine, images):
        if isinstance(engine, TextEngine) and not _wait_ready(engine, stop):
            return
        clear_progress()
        print(f"{engine.model_name} is ready at {url}/v1 after {time.monotonic() - started:.0f} s; Ctrl-C stops it.")
        while not stop.wait(0.5):
            if engine.state.name == "failed":
                raise engine.error
            if images and images.settled.is_set():
                print(
                    f"{images.model_name} draws pictures." if images.error is None else f"No pictures: {images.error}"
                )
                images = None
        print("Stopping.")


def print_plan(settings: ServingSettings, model: str | None) -> None:
    """Print the commands and the environments of the engines as a shell would take them."""
    engine = make_engine(settings, model)
    for child in (engine, make_image_engine(settings, engine)):
        if isinstance(child, RemoteEngine):
            print(f"# no engine is started: {child.model_name} runs at {child.base_url}")
        elif child is None:
            print("# no image engine is started")
        else:
            variables = [f"{name}={shlex.quote(value)}" for name, value in child.environment().items()]
            print(" \\\n  ".join([*variables, shlex.join(child.command())]))


def show_progress(seconds: float, stage: str) -> None:
    """One line that is written over; nothing where nobody looks."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{f'Starting vLLM: {seconds:3.0f} s, {stage} ...'[:width]}", end="", file=sys.stderr, flush=True)


def clear_progress() -> None:
    """Remove the progress line."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _stop_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _wait_ready(engine: TextEngine, stop: threading.Event) -> bool:
    """Wait for the engine; False when told to stop meanwhile. Raises `EngineError` when it gave up."""
    while engine.state.name == "starting":
        if stop.wait(0.1):
            return False
    engine.wait_ready()
    return True
