"""How the chat has its default models grown: functions that homegrown.py hands down, since training lies beside."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Growers:
    """Each but the last takes the name of a recipe."""

    grow: Callable[[str], None]
    """Grows a model to its end."""
    is_unfinished: Callable[[str], bool]
    """Whether an image model is missing, or was begun and not ended."""
    growing: Callable[[str], AbstractContextManager]
    """Grows an image model in the background while its block runs; the next time it goes on."""
    aligning: Callable[[], AbstractContextManager]
    """Aligns the default model in the same way, if that is due, and has it served if it got better."""
