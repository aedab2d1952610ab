"""How much the pictures of one caption differ, against drawn scenes of that caption."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from eval.meaning import Meaning
from eval.pictures.layouts import GRID, LAYOUTS
from eval.pictures.scene import Scene
from eval.pictures.world import world

if TYPE_CHECKING:
    import numpy as np

SIDE = 48
"""Pixels a side at which pictures are compared."""
SAME = 1.0
"""Root mean square of 255: pictures that are no further apart are one picture."""
DIVERSITY = Meaning(
    formula="sum over captions of the mean distance of two pictures that show everything right / the same sum for as "
    "many drawn scenes of these captions; distance: root mean square over the pixels",
    source="ours; mean pairwise distance, as LPIPS diversity (Zhu et al. 2017, arXiv:1711.11586) without a network",
    caveat="1 is as varied as the training set; only pictures that show everything right count, since wrong ones and "
    "noise are varied too; captions with fewer than four of them are left out; noise that stays in pictures adds to it",
    high=None,
)
DISTINCT = Meaning(
    formula="of the pictures that show everything right, the share that is not the same as an earlier one of its "
    f"caption; the same: at a root mean square of at most {SAME:g} of 255",
    source="ours",
    caveat="finds an endpoint that passes over the seed, and a model with one picture for a caption; how far apart "
    "pictures are is said by their distance",
)


def mean_distance(pictures: "Sequence[np.ndarray]") -> float:
    """The mean over all pairs of the root mean square between two pictures, 0 to 255."""
    distances = [_distance(one, other) for one, other in combinations(_alike_in_size(pictures), 2)]
    return sum(distances) / len(distances)


def are_new(pictures: "Sequence[np.ndarray]") -> list[bool]:
    """Of each picture, whether it differs from all before it."""
    seen = _alike_in_size(pictures)
    return [all(_distance(one, before) > SAME for before in seen[:place]) for place, one in enumerate(seen)]


def drawn_again(scene: Scene, count: int, px: int) -> "list[np.ndarray]":
    """So many pictures of other scenes that have the same caption."""
    from eval.pictures.draw import draw

    rng = random.Random(f"{scene}")
    return [draw(_laid_out_again(scene, rng), px) for _ in range(count)]


def _laid_out_again(scene: Scene, rng: random.Random) -> Scene:
    here = world(scene.world)
    told = scene.relation, scene.place, scene.size, len(scene.things)
    while True:
        layout = LAYOUTS[scene.kind](rng, here.free, here.relations)
        if (layout.relation, layout.place, layout.size, len(layout.spots)) == told:
            return _moved(scene, [tuple(at / GRID for at in spot) for spot in layout.spots])


def _moved(scene: Scene, spots: Sequence[tuple[float, float, float]]) -> Scene:
    things = [replace(thing, x=x, y=y, radius=r) for thing, (x, y, r) in zip(scene.things, spots, strict=True)]
    return replace(scene, things=tuple(things))


def _distance(one: "np.ndarray", other: "np.ndarray") -> float:
    return float(((one - other) ** 2).mean() ** 0.5)


def _alike_in_size(pictures: "Sequence[np.ndarray]") -> "list[np.ndarray]":
    import numpy as np
    from PIL import Image

    return [np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BOX), float) for p in pictures]
