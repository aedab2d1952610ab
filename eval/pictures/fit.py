"""Which outline fits a thing best."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval.pictures.outlines import coverage

SHIFTS = tuple((down, across) for down in (-1, 0, 1) for across in (-1, 0, 1))
MARGIN = 3
"""Room around an outline for a thing that is larger by 2 px, and shifted by one."""


@dataclass(frozen=True)
class Fit:
    """The best intersection over union with each kind's outline, over radii and small shifts; radii in px."""

    iou: dict[str, float]
    radius: dict[str, int]

    @property
    def kind(self) -> str:
        return max(self.iou, key=self.iou.__getitem__)


def fit(pixels: np.ndarray, kinds: tuple[str, ...]) -> Fit:
    """`pixels`: bool (px, px), a thing's own pixels."""
    shape = _cropped(pixels)
    half = max(shape.shape) / 2
    # The widest side of an outline is 85 to 100 % of its square.
    radii = range(max(3, int(half) - 1), int(half * 1.2) + 2)
    overlaps = np.array([_overlaps(shape, kinds, radius) for radius in radii])
    best = overlaps.argmax(0)
    return Fit(
        iou=dict(zip(kinds, overlaps.max(0).tolist(), strict=True)),
        radius={kind: radii[at] for kind, at in zip(kinds, best, strict=True)},
    )


def _overlaps(shape: np.ndarray, kinds: tuple[str, ...], radius: int) -> np.ndarray:
    """float (kinds): the best intersection over union at this radius."""
    outlines = _outlines(kinds, radius)
    side = 2 * (radius + MARGIN)
    middle = _centred(shape, side)
    shifted = np.stack([np.roll(middle, shift, (0, 1)).ravel() for shift in SHIFTS], axis=1)
    common = outlines @ shifted
    either = outlines.sum(1, keepdims=True) + shape.sum() - common
    return (common / either).max(1)


@lru_cache(maxsize=64)
def _outlines(kinds: tuple[str, ...], radius: int) -> np.ndarray:
    """float32 (kinds, pixels of the square), each centred by its bounding box as `fit` centres a thing."""
    side = 2 * (radius + MARGIN)
    return np.stack([_centred(_cropped(coverage(kind, radius) > 0.5), side).ravel() for kind in kinds])


def _cropped(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero(pixels.any(axis)) for axis in (1, 0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _centred(shape: np.ndarray, side: int) -> np.ndarray:
    square = np.zeros((side, side), np.float32)
    top, left = ((side - length) // 2 for length in shape.shape)
    square[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    return square
