"""What a source of captioned pictures hands out."""

import random
from typing import NamedTuple, Protocol

import numpy as np

NEAR = 2  # pixels around a thing that count as its outline


class Drawn(NamedTuple):
    """A picture (size, size, 3) as bytes, its caption, and where its things are (size, size), outlines included.

    `middles`: column and row, in whole pixels, of each thing's middle, in the order of the caption; None: unknown.
    """

    picture: np.ndarray
    caption: str
    things: np.ndarray
    middles: list[tuple[int, int]] | None = None


class Pictures(Protocol):
    """A source: `words` are all that its captions can hold, `count` its pictures (None: without end)."""

    words: list[str]
    count: int | None
    unusable: str
    """What was left out, why, and where first."""

    def sample(self, rng: random.Random, held_out: bool = False) -> Drawn:
        """A picture by lot; those that are `held_out` are never handed out otherwise."""


def near(things: np.ndarray) -> np.ndarray:
    """`things`, bool (size, size), with what is so near that it counts as their outline."""
    from scipy.ndimage import binary_dilation

    return binary_dilation(things, iterations=NEAR)
