"""Where the things of a scene stand: on a grid of 48 by 48, whatever the size at which they are drawn.

Fixed places are the middles of nine squares of 16, jittered by one: a model that sees patches of 8 meets every outline
in one position to its patches, and learns them in minutes; places anywhere it learns only in an hour.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from eval.pictures.scene import PLACES

GRID = 48
MIDDLE = GRID // 2
ASIDE = GRID // 3
SIZES = {"small": 7, "medium": 11, "large": 16}
"""Radius of the only thing in a picture, by the word for it."""
GAP = 2
"""The least distance between the squares around things; half of it lies between them and the edge."""
DIRECTIONS = {"above": (0, -1), "below": (0, 1), "left": (-1, 0), "right": (1, 0)}


class Spot(NamedTuple):
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Layout:
    """The spots of the things in the order in which a caption names them, and what can be said of them."""

    spots: tuple[Spot, ...]
    relation: str | None = None
    place: str | None = None
    size: str | None = None


def single(rng: random.Random, free: bool, relations: tuple[str, ...]) -> Layout:
    size = rng.choice(list(SIZES))
    if free:
        return Layout((_anywhere(rng, SIZES[size]),), size=size)
    return Layout((_fixed(rng, MIDDLE, MIDDLE, SIZES[size]),), place="center", size=size)


def placed(rng: random.Random, free: bool, relations: tuple[str, ...]) -> Layout:
    ninth, radius = rng.randrange(9), 8 if free else SIZES["small"]
    row, column = divmod(ninth, 3)
    if free:
        spot = Spot(_in_third(rng, column, radius), _in_third(rng, row, radius), radius)
    else:
        spot = _fixed(rng, MIDDLE + ASIDE * (column - 1), MIDDLE + ASIDE * (row - 1), radius)
    return Layout((spot,), place=PLACES[ninth])


def two(rng: random.Random, free: bool, relations: tuple[str, ...]) -> Layout:
    relation = rng.choice(relations)
    if relation == "inside":
        return Layout(_one_inside_the_other(rng, free), relation)
    right, down = DIRECTIONS[relation]
    if not free:
        ends = ((MIDDLE + ASIDE * side * right, MIDDLE + ASIDE * side * down) for side in (1, -1))
        return Layout(tuple(_fixed(rng, x, y, SIZES["small"]) for x, y in ends), relation)
    while True:
        first, second = _apart(rng, 2, (7.5, 10))
        x, y = first.x - second.x, first.y - second.y
        along, aside = (right * x, abs(y)) if right else (down * y, abs(x))
        if along > aside + 5:
            return Layout((first, second), relation)


def three(rng: random.Random, free: bool, relations: tuple[str, ...]) -> Layout:
    return Layout(_group(rng, free, 3))


def counted(rng: random.Random, free: bool, relations: tuple[str, ...]) -> Layout:
    return Layout(_group(rng, free, rng.choice((2, 3))))


LAYOUTS: dict[str, Callable[[random.Random, bool, tuple[str, ...]], Layout]] = {
    layout.__name__: layout for layout in (single, placed, two, three, counted)
}


def _group(rng: random.Random, free: bool, count: int) -> tuple[Spot, ...]:
    """Fixed: two side by side, or three as the corners of a triangle."""
    if free:
        return _apart(rng, count, (7, 9))
    corners = [(13, MIDDLE), (35, MIDDLE)] if count == 2 else [(12, 13), (36, 13), (MIDDLE, 35)]
    return tuple(_fixed(rng, x, y, 8) for x, y in corners)


def _one_inside_the_other(rng: random.Random, free: bool) -> tuple[Spot, Spot]:
    outer = _anywhere(rng, rng.uniform(18, 20)) if free else _fixed(rng, MIDDLE, MIDDLE, 19)
    return Spot(outer.x, outer.y, 7), outer


def _apart(rng: random.Random, count: int, radii: tuple[float, float]) -> tuple[Spot, ...]:
    """Anywhere, but not touching; with radii between those given."""
    while True:
        spots = tuple(_anywhere(rng, rng.uniform(*radii)) for _ in range(count))
        pairs = [(one, other) for i, one in enumerate(spots) for other in spots[:i]]
        if all(max(abs(a.x - b.x), abs(a.y - b.y)) > a.radius + b.radius + GAP for a, b in pairs):
            return spots


def _anywhere(rng: random.Random, radius: float) -> Spot:
    edge = radius + GAP / 2
    return Spot(rng.uniform(edge, GRID - edge), rng.uniform(edge, GRID - edge), radius)


def _in_third(rng: random.Random, third: int, radius: float) -> float:
    """Somewhere in a third of the grid, clear of its limits since a thing's centroid is not its middle."""
    edge, third_wide = radius + GAP / 2, GRID / 3
    return rng.uniform(max(third * third_wide + 3.5, edge), min((third + 1) * third_wide - 3.5, GRID - edge))


def _fixed(rng: random.Random, x: float, y: float, radius: float) -> Spot:
    return Spot(x + rng.randint(-1, 1), y + rng.randint(-1, 1), radius)
