"""Draws a scene."""

from functools import cache

import numpy as np

from eval.pictures.outlines import coverage
from eval.pictures.palette import PALETTE
from eval.pictures.scene import Scene, Thing


def draw(scene: Scene, px: int) -> np.ndarray:
    """uint8 (px, px, 3), sRGB. Centres and radii are rounded to whole pixels."""
    picture = np.empty((px, px, 3), np.float32)
    picture[:] = _paint(scene.background)
    for thing in _big_first(scene):
        rows, columns, stencil = _stencil(thing, px)
        under = picture[rows, columns]
        under += stencil[:, :, None] * (_paint(thing.colour) - under)
    return (picture + 0.5).astype(np.uint8)


def mask(scene: Scene, px: int) -> np.ndarray:
    """bool (px, px): where there is any thing."""
    return np.any([covered(thing, px) > 0 for thing in scene.things], axis=0)


def covered(thing: Thing, px: int) -> np.ndarray:
    """float32 (px, px): how much of each pixel the thing covers, also where another stands upon it."""
    shares = np.zeros((px, px), np.float32)
    rows, columns, stencil = _stencil(thing, px)
    shares[rows, columns] = stencil
    return shares


def _big_first(scene: Scene) -> list[Thing]:
    """What stands inside another thing is drawn over it."""
    return sorted(scene.things, key=lambda thing: -thing.radius)


def _stencil(thing: Thing, px: int) -> tuple[slice, slice, np.ndarray]:
    """The rows and columns of the picture that the thing stands on, and how much of each pixel it covers."""
    radius = round(thing.radius * px)
    left, top = (min(max(round(middle * px) - radius, 0), px - 2 * radius) for middle in (thing.x, thing.y))
    return slice(top, top + 2 * radius), slice(left, left + 2 * radius), coverage(thing.kind, radius)


@cache
def _paint(colour: str) -> np.ndarray:
    return np.array(PALETTE[colour], np.float32)
