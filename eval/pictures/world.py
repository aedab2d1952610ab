"""A world: which scenes there are, and which of them are kept from training."""

import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from eval.pictures.layouts import GRID, LAYOUTS, Layout
from eval.pictures.scene import Scene, Thing

FOLDER = Path(__file__).parent / "worlds"
WHITE_SHARE = 0.2
"""White is what a caption means that names no background, hence more frequent than other backgrounds."""
Look = tuple[str, str]
"""Colour and kind of a thing."""


@dataclass(frozen=True)
class World:
    """`scenes`: how often each kind of scene is drawn; `roomy` kinds can hold a small thing.

    `held_out` looks appear in no training scene.
    """

    name: str
    colours: tuple[str, ...]
    kinds: tuple[str, ...]
    scenes: dict[str, int]
    relations: tuple[str, ...]
    roomy: tuple[str, ...]
    free: bool
    held_out: tuple[Look, ...]

    @property
    def scene_kinds(self) -> tuple[str, ...]:
        return tuple(self.scenes)

    def scene(
        self, rng: random.Random, kind: str | None = None, held_out: bool = False, free: bool | None = None
    ) -> Scene:
        """A scene drawn by lot.

        `kind` is one of `scene_kinds`. With `held_out` the first thing is a pair of colour and kind that is never in a
        scene without. `free` things stand anywhere, others on fixed places; None: as the world has it.
        """
        kind = kind or rng.choices(self.scene_kinds, list(self.scenes.values()))[0]
        layout = LAYOUTS[kind](rng, self.free if free is None else free, self.relations)
        looks = self._looks(rng, kind, layout, held_out)
        spots = [[at / GRID for at in spot] for spot in layout.spots]
        things = tuple(Thing(*look, *spot) for look, spot in zip(looks, spots, strict=True))
        background = self._background(rng, {colour for colour, _ in looks})
        return Scene(self.name, kind, background, things, layout.relation, layout.place, layout.size)

    def _looks(self, rng: random.Random, kind: str, layout: Layout, held_out: bool) -> list[Look]:
        first = rng.choice(self.held_out) if held_out else self._common(rng, self.kinds)
        if kind == "counted":
            return [first] * len(layout.spots)
        looks = [first]
        inside = layout.relation == "inside"
        while len(looks) < len(layout.spots):
            look = self._common(rng, self.roomy if inside else self.kinds)
            if look not in looks and not (inside and look[0] == first[0]):
                looks.append(look)
        return looks

    def _common(self, rng: random.Random, kinds: tuple[str, ...]) -> Look:
        """A pair of colour and kind that is not held out."""
        while True:
            look = rng.choice(self.colours), rng.choice(kinds)
            if look not in self.held_out:
                return look

    def _background(self, rng: random.Random, taken: set[str]) -> str:
        if "white" not in taken and rng.random() < WHITE_SHARE:
            return "white"
        return rng.choice([colour for colour in self.colours if colour not in taken])


@lru_cache
def world(name: str) -> World:
    """The world of worlds/<name>.yaml."""
    told = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return World(
        name=name,
        colours=tuple(told["colours"]),
        kinds=tuple(told["kinds"]),
        scenes=told["scenes"],
        relations=tuple(told["relations"]),
        roomy=tuple(told["roomy"]),
        free=told["free"],
        held_out=tuple(tuple(look.split()) for look in told["held_out"]),
    )
