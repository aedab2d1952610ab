"""Being told to stop, by Ctrl-C or by whoever started us."""

import signal
from threading import Event
from types import FrameType


def stop_signals() -> tuple[Event, Event]:
    """Events that are set by the first and the second SIGINT or SIGTERM from now on."""
    stop, hurry = Event(), Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop, hurry
