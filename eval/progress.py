"""One live line while questions are asked."""

import sys
import time
from shutil import get_terminal_size
from typing import TextIO

from eval.records import Record

SHOWN_SCORES = 3


class Progress:
    """done/total, rate, errors, time left, running scores. Without a terminal: one line for every tenth of the way."""

    def __init__(self, name: str, total: int, stream: TextIO | None = None):
        self._name, self._total = name, total
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._started = self._shown = time.perf_counter()
        self._tenth = 0
        self._scores: dict[str, list[float]] = {}
        self.done = self.errors = 0

    def add(self, record: Record) -> None:
        """Count one record, and show it if the last showing is long enough ago."""
        self.done += 1
        self.errors += record.status == "error"
        for name, value in record.scores.items():
            if isinstance(value, bool | int | float):
                total = self._scores.setdefault(name, [0.0, 0])
                total[0] += value
                total[1] += 1
        now, last = time.perf_counter(), self.done == self._total
        if self._live and (last or now - self._shown > 0.2):
            self._shown = now
            # A line that wraps could not be overwritten.
            shown = self._line(now)[: get_terminal_size().columns - 1]
            self._stream.write(f"\r\x1b[K{shown}" + "\n" * last)
            self._stream.flush()
        elif not self._live and self.done * 10 // self._total > self._tenth:
            self._tenth = self.done * 10 // self._total
            self._stream.write(self._line(now) + "\n")
            self._stream.flush()

    def _line(self, now: float) -> str:
        rate = self.done / max(now - self._started, 1e-6)
        left = round((self._total - self.done) / rate)
        left_text = f"{left // 60}:{left % 60:02}"
        counts = f"{self._name}  {self.done}/{self._total}  {rate:.1f}/s  {self.errors} errors  {left_text} left"
        asked_most = sorted(self._scores.items(), key=lambda entry: -entry[1][1])[:SHOWN_SCORES]
        return counts + "".join(f"  {name.replace('_', ' ')} {total / n:.3g}" for name, (total, n) in asked_most)
