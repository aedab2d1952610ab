"""One live line for whatever takes long: it overwrites itself on a terminal, elsewhere it is a line now and then."""

import sys
import time
from typing import TextIO

SECONDS_BETWEEN_LINES = 15
SECONDS_BETWEEN_UPDATES = 0.2


class LiveLine:
    """A line that says how far something is. Use it as a context manager: leaving it keeps what it said last."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.shown_at = float("-inf")
        self.width = 0
        self.text = ""

    def __enter__(self) -> "LiveLine":
        return self

    def __exit__(self, kind: type | None, *_) -> None:
        if kind is None or self.live:
            self.end()

    def show(self, text: str) -> None:
        """Show `text`, unless something was shown just before."""
        self.text = text
        pause = SECONDS_BETWEEN_UPDATES if self.live else SECONDS_BETWEEN_LINES
        if time.monotonic() - self.shown_at >= pause:
            self._write()

    def end(self) -> None:
        """Write the last text, even if it had been held back, and go to the next line."""
        if self.text:
            self._write()
        if self.live and self.width:
            print(file=self.stream, flush=True)
        self.text, self.width = "", 0

    def _write(self) -> None:
        self.shown_at = time.monotonic()
        if self.live:
            print(f"\r{self.text:<{self.width}}", end="", file=self.stream, flush=True)
            self.width = len(self.text)
        else:
            print(self.text, file=self.stream, flush=True)
            self.text = ""


def clock(seconds: float) -> str:
    """`seconds` as people write a duration: 42s, 3m05s, 2h10m."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    return f"{seconds // 3600}h{seconds // 60 % 60:02}m"


def amount(number: float) -> str:
    """A count in three figures: 950, 12.3k, 1.20M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"
