"""Engine and API together: what `homegrown serve` runs, and what the terminal chat runs behind itself."""

import contextlib
import shlex
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from serving.api.app import build_api, guarded
from serving.engine import RemoteEngine
from serving.home import home
from serving.server import HttpServer, claim_port
from serving.settings import ServingSettings
from serving.text_engine import TextEngine

DEFAULT_MODEL = "almanac"


def default_model() -> str:
    """The folder of the model that is meant when none is named."""
    return str(home() / "models" / DEFAULT_MODEL)


@contextlib.contextmanager
def serving(settings: ServingSettings, model: str | None) -> Iterator[tuple[str, TextEngine | RemoteEngine]]:
    """Serve while the block runs; yields the API's URL and the engine, which may still be starting.

    Raises `UserError` when the port, the model or the engine cannot be used.
    """
    claimed = claim_port(settings)
    with claimed:
        engine = make_engine(settings, model)
        with HttpServer(guarded(build_api(settings, engine), settings), claimed) as server:
            if isinstance(engine, RemoteEngine):
                yield server.url, engine
                return
            engine.start()
            try:
                yield server.url, engine
            finally:
                engine.stop()


def make_engine(settings: ServingSettings, model: str | None) -> TextEngine | RemoteEngine:
    """The engine that the settings ask for, not yet started."""
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


def run(settings: ServingSettings, model: str | None) -> None:
    """Serve until SIGINT or SIGTERM, or until the engine gives up (`EngineError`)."""
    started = time.monotonic()
    stop = _stop_signals()
    with serving(settings, model) as (url, engine):
        if isinstance(engine, TextEngine) and not _wait_ready(engine, stop):
            return
        clear_progress()
        print(f"{engine.model_name} is ready at {url}/v1 after {time.monotonic() - started:.0f} s; Ctrl-C stops it.")
        while not stop.wait(0.5):
            if engine.state.name == "failed":
                raise engine.error
        print("Stopping.")


def print_plan(settings: ServingSettings, model: str | None) -> None:
    """Print the command and the environment of the engine as a shell would take them."""
    engine = make_engine(settings, model)
    if isinstance(engine, RemoteEngine):
        print(f"# no engine is started: {engine.model_name} runs at {engine.base_url}")
        return
    variables = [f"{name}={shlex.quote(value)}" for name, value in engine.environment().items()]
    print(" \\\n  ".join([*variables, shlex.join(engine.command())]))


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
