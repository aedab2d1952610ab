"""What a picture shows, apart from how it is drawn or told."""

from dataclasses import dataclass

PLACES = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
"""The ninths of a picture, row by row."""


@dataclass(frozen=True)
class Thing:
    """A shape or thing of one colour; `x`, `y` (downwards) and `radius` in units of the picture's width."""

    colour: str
    kind: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """`relation` says how the first thing stands to the second; `place` and `size` are those of the only thing.

    What is None is left open: a picture of the scene may have it either way.
    """

    world: str
    kind: str
    background: str
    things: tuple[Thing, ...]
    relation: str | None = None
    place: str | None = None
    size: str | None = None
