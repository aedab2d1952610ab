"""What a source of captioned pictures hands out."""

import random
from typing import NamedTuple, Protocol

import numpy as np

NEAR = 2  # pixels around a thing that count as its outline


class Drawn(NamedTuple):
    """A picture (size, size, 3) as bytes, its caption, and where its things are (size, size), outlines included.

    `each` tells of the things in the order of the caption: column and row of its middle in whole pixels, and how much
    of every pixel it covers. None: nobody knows.
    """

    picture: np.ndarray
    caption: str
    things: np.ndarray
    each: list[tuple[int, int, np.ndarray]] | None = None


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
