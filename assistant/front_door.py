"""Shows a person the way to the chat page."""

import os
import sys
import time
import webbrowser

from serving.serve import Served


def open_page(url: str) -> None:
    """Say where the page is; where there is a desktop, a browser opens it."""
    print(f"The chat page is at {url}", flush=True)
    if has_desktop():
        webbrowser.open(url)


def has_desktop() -> bool:
    """Whether somebody sits before this machine's screen."""
    if "SSH_CONNECTION" in os.environ:
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def stay_open(served: Served) -> None:
    """Wait for Ctrl-C. Raises `EngineError` when the engine gives up."""
    print("Ctrl-C closes it.", flush=True)
    try:
        while (failure := served.failure()) is None:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    raise failure
