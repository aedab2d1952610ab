"""Engines and API together: what `homegrown serve` runs, and what the terminal chat runs behind itself."""

import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from serving.api.app import Extension, build_api, exchange_engine, guarded
from serving.changeover import Changeover, Successor
from serving.engine import RemoteEngine
from serving.errors import UserError
from serving.home import home
from serving.image_engine import DEFAULT_IMAGE_MODEL, ImageEngine, image_model_in_sight
from serving.logs import logging_to
from serving.registry import DEFAULT_MODEL, current, default_model
from serving.running import announced
from serving.server import HttpServer, claim_port
from serving.settings import ServingSettings
from serving.signals import stop_signals
from serving.text_engine import TextEngine


@dataclass(frozen=True)
class Served:
    """A server that runs: the API's URL, and the engines that it started with."""

    url: str
    engine: TextEngine | RemoteEngine
    images: ImageEngine | None
    changeover: Changeover | None

    def failure(self) -> UserError | None:
        """Why no words are answered any more; None while they are, or soon will be."""
        return self.changeover and self.changeover.failure()


@contextmanager
def serving(
    settings: ServingSettings, model: str | None, extensions: Sequence[Extension] = ()
) -> Iterator[tuple[str, TextEngine | RemoteEngine]]:
    """`serving_all` for whoever needs the API's URL and the text engine, which may still be starting."""
    with serving_all(settings, model, extensions) as served:
        yield served.url, served.engine


@contextmanager
def serving_all(settings: ServingSettings, model: str | None, extensions: Sequence[Extension] = ()) -> Iterator[Served]:
    """Serve while the block runs. The log goes to a file, since the terminal is somebody's.

    Raises `UserError` when the port, a model or an engine cannot be used.
    """
    log = settings.log or home() / "logs" / "api.log"
    with _serving(settings, model, extensions, log, Event()) as served:
        yield served


@contextmanager
def _serving(
    settings: ServingSettings, model: str | None, extensions: Sequence[Extension], log: Path | None, hurry: Event
) -> Iterator[Served]:
    """Serve while the block runs; afterwards running answers may end, until `hurry`, and then the engines."""
    with ExitStack() as opened:
        claimed = opened.enter_context(claim_port(settings))
        if model is None and not settings.engine_url:
            _tell_of_changes()
        engine = make_engine(settings, model)
        images = make_image_engine(settings, engine)
        api = build_api(settings, engine, images, extensions)
        opened.enter_context(logging_to(log, [*settings.secrets(), api.state.internal_key]))
        traffic = guarded(api, settings)
        if isinstance(engine, TextEngine):
            api.state.changeover = Changeover(
                engine, partial(Successor, settings), partial(exchange_engine, api), traffic.answering, settings.drain_s
            )
        children = [child for child in (api.state.changeover, images) if child]
        opened.callback(_stop, children)
        server = opened.enter_context(HttpServer(traffic, claimed))
        opened.callback(traffic.drain, settings.shutdown_s, hurry)
        for child in children:
            child.start()
        if api.state.changeover:
            opened.enter_context(announced(api.state.own_url))
        yield Served(server.url, engine, images, api.state.changeover)


def _stop(children: list[Changeover | ImageEngine]) -> None:
    """Stop all at the same time: each takes seconds."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda child: child.stop(), children))


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
        # Whichever model was promoted, clients that ask for the default one are answered.
        also_called=() if model else (DEFAULT_MODEL,),
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
    """Serve until SIGINT or SIGTERM, or until the text engine gives up (`EngineError`). A second signal makes haste."""
    started = time.monotonic()
    stop, hurry = stop_signals()
    with _serving(settings, model, extensions, settings.log, hurry) as served:
        engine, images = served.engine, served.images
        if isinstance(engine, TextEngine) and not _wait_ready(engine, stop):
            return
        clear_progress()
        seconds = time.monotonic() - started
        print(f"{engine.model_name} is ready at {served.url}/v1 after {seconds:.0f} s; Ctrl-C stops it.")
        while not stop.wait(0.5):
            if failure := served.failure():
                raise failure
            if images and images.settled.is_set():
                print(
                    f"{images.model_name} draws pictures." if images.error is None else f"No pictures: {images.error}"
                )
                images = None
        print("Stopping.")


def _tell_of_changes() -> None:
    promotion = current()
    if promotion and promotion.folder.is_dir() and promotion.has_changed():
        print(
            f"The files of {promotion.name} have changed since it was promoted on {promotion.time:%Y-%m-%d}: "
            f"`homegrown models promote {promotion.name}` says that this is meant.",
            file=sys.stderr,
        )


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


def _wait_ready(engine: TextEngine, stop: Event) -> bool:
    """Wait for the engine; False when told to stop meanwhile. Raises `EngineError` when it gave up."""
    while engine.state.name == "starting":
        if stop.wait(0.1):
            return False
    engine.wait_ready()
    return True
