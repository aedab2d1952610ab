"""Does a picture show what its scene says?"""

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations

import numpy as np

from eval.pictures.analyse import Found, analyse
from eval.pictures.fit import Fit, fit
from eval.pictures.layouts import GRID, SIZES
from eval.pictures.scene import PLACES, Scene
from eval.pictures.world import world

RECOGNISED = 0.6
"""A thing is of the kind whose outline fits best if their intersection over union is at least this."""
Compared = tuple[float, float, bool]
"""The shares of right colours and of right kinds, and whether the place is right."""


@dataclass(frozen=True)
class Adherence:
    """`colours` and `kinds`: the share of the scene's things that have the right one. What is left open is right.

    `size` is None where the scene has none. `outline_iou`: intersection over union of the only thing with the ideal
    outline of its kind at the best radius and shift; None where the scene has several things, or the picture none.
    """

    background: bool
    count: bool
    colours: float
    kinds: float
    place: bool
    size: bool | None
    outline_iou: float | None

    @property
    def everything(self) -> bool:
        """All but the size, which is reported for itself since captions often leave it out."""
        return self.background and self.count and self.place and self.colours == self.kinds == 1


@dataclass(frozen=True)
class Seen:
    """A thing found in a picture, and what it looks like."""

    found: Found
    kinds: tuple[str, ...]

    @cached_property
    def fit(self) -> Fit:
        return fit(self.found.pixels, self.kinds)

    @property
    def kind(self) -> str | None:
        return self.fit.kind if self.fit.iou[self.fit.kind] >= RECOGNISED else None


@dataclass(frozen=True)
class View:
    """What a picture shows, whatever it should show: its background, and its things, the largest first."""

    background: str
    things: tuple[Seen, ...]


def adherence(picture: np.ndarray, scene: Scene) -> Adherence:
    """Compares a picture, uint8 (px, px, 3), with the scene that it should show."""
    return compare(look(picture, scene.world), scene)


def look(picture: np.ndarray, name: str) -> View:
    """What a picture, uint8 (px, px, 3), shows of the world called `name`."""
    here = world(name)
    background, found = analyse(picture, here.colours)
    return View(background, tuple(Seen(thing, here.kinds) for thing in found))


def compare(view: View, scene: Scene) -> Adherence:
    """One view can be compared with many scenes of its world."""
    wanted = scene.things
    largest = list(view.things[: len(wanted)])
    missing = [None] * (len(wanted) - len(largest))
    colours, kinds, place = max((_compared(order, scene) for order in permutations(largest + missing)), key=_rightness)
    only = largest[0] if largest and len(wanted) == 1 else None
    return Adherence(
        background=view.background == scene.background,
        count=len(view.things) == len(wanted),
        colours=colours,
        kinds=kinds,
        place=place,
        size=None if scene.size is None else only is not None and _size(only) == scene.size,
        outline_iou=only.fit.iou[wanted[0].kind] if only else None,
    )


def _compared(order: tuple[Seen | None, ...], scene: Scene) -> Compared:
    """Takes what was seen for the things of the scene, in this order."""
    pairs = [(seen, thing) for seen, thing in zip(order, scene.things, strict=True) if seen]
    colours = sum(seen.found.colour == thing.colour for seen, thing in pairs) / len(order)
    kinds = sum(seen.kind == thing.kind for seen, thing in pairs) / len(order)
    return colours, kinds, len(pairs) == len(order) and _well_placed([seen.found for seen, _ in pairs], scene)


def _rightness(compared: Compared) -> tuple[float, bool]:
    colours, kinds, place = compared
    return colours + kinds, place


def _well_placed(found: list[Found], scene: Scene) -> bool:
    if scene.relation:
        return _related(*found, scene.relation)
    return scene.place is None or PLACES[3 * int(3 * found[0].y) + int(3 * found[0].x)] == scene.place


def _related(first: Found, second: Found, relation: str) -> bool:
    inside = bool(second.pixels[first.pixels].mean() > 0.9)
    right, below = first.x - second.x, first.y - second.y
    holds = {
        "inside": inside,
        "above": -below > abs(right) and not inside,
        "below": below > abs(right) and not inside,
        "left": -right > abs(below) and not inside,
        "right": right > abs(below) and not inside,
    }
    return holds[relation]


def _size(seen: Seen) -> str:
    """The word for the size that comes nearest."""
    radius = seen.fit.radius[seen.fit.kind] * GRID / len(seen.found.pixels)
    return min(SIZES, key=lambda size: abs(SIZES[size] - radius))
