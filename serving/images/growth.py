"""How far an image model is that is being grown while others already wait for its pictures."""

import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from serving.home import home

# A training that was killed leaves its file behind.
STALE_S = 180.0


@dataclass(frozen=True)
class Growth:
    """`share` of the training that is done, the time left, and that until its next version can be used.

    Both times are None while the training is too young to tell.
    """

    share: float
    seconds_left: float | None = None
    seconds_to_next: float | None = None

    def __str__(self) -> str:
        if self.seconds_left is None:
            return "it has only just begun"
        first = self.seconds_left if self.seconds_to_next is None else self.seconds_to_next
        return f"{round(100 * self.share)} %, first pictures in about {minutes(first)}"


def minutes(seconds: float) -> str:
    """ "1 minute", "7 minutes": at least one."""
    number = max(1, round(seconds / 60))
    return f"{number} minute" if number == 1 else f"{number} minutes"


def growth(name: str) -> Growth | None:
    """How far the training of the model called `name` is; None when it does not go on."""
    try:
        fresh = time.time() - progress_file(name).stat().st_mtime < STALE_S
    except FileNotFoundError:
        return None
    return last_growth(name) if fresh else None


def last_growth(name: str) -> Growth | None:
    """The same even if it was stopped; None when it has never begun, or is complete."""
    try:
        return TypeAdapter(Growth).validate_json(progress_file(name).read_bytes())
    except FileNotFoundError:
        return None


def progress_file(name: str) -> Path:
    """Where the training of the model called `name` says how far it is; once it has ended, there is none."""
    return home() / "runs" / name / "progress.json"
