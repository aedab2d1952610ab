"""Every outline by the name of its kind, and the pixels that it covers."""

from functools import cache

import numpy as np
from PIL import Image

from eval.pictures.pen import Pen
from eval.pictures.shapes import SHAPES
from eval.pictures.things import THINGS

OUTLINES = SHAPES | THINGS
FINE = 8
"""Every pixel is drawn as FINE x FINE dots, whose mean is its coverage."""


@cache
def coverage(kind: str, radius: int) -> np.ndarray:
    """How much of each pixel the outline covers, 0 to 1: float32 (2 radius, 2 radius), read only; radius in px."""
    pen = Pen(2 * radius * FINE)
    OUTLINES[kind](pen)
    covered = np.asarray(pen.image.resize((2 * radius, 2 * radius), Image.Resampling.BOX), np.float32) / 255
    covered.flags.writeable = False
    return covered
