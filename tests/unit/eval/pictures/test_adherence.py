"""Every figure about pictures rests on this analysis: it must agree with what was drawn, and with nothing else."""

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from eval.pictures.adherence import adherence
from eval.pictures.draw import draw
from eval.pictures.layouts import GRID
from eval.pictures.scene import PLACES, Scene, Thing
from eval.pictures.world import world

PX = {"small": 48, "large": 64}
KINDS = [(name, kind) for name in PX for kind in world(name).scene_kinds]
by_kind = pytest.mark.parametrize(("name", "kind"), KINDS)
by_world = pytest.mark.parametrize("name", PX)


def scenes(name, kind=None, count=100):
    rng = random.Random(f"{name} {kind}")
    here = world(name)
    return [here.scene(rng, kind, held_out=i % 3 == 0, free=i % 2 == 0) for i in range(count)]


def judged(scene, shown=None):
    """How a drawing of the scene `shown` adheres to `scene`."""
    return adherence(draw(shown or scene, PX[scene.world]), scene)


def generated(picture, seed):
    """With the soft edges and the noise of a generated picture."""
    noise = np.random.default_rng(seed).normal(0, 6, picture.shape)
    return (ndimage.gaussian_filter(picture.astype(float), (0.4, 0.4, 0)) + noise).clip(0, 255).astype(np.uint8)


@by_kind
def test_real_drawings_are_right(name, kind):
    results = [judged(scene) for scene in scenes(name, kind)]
    assert np.mean([result.everything for result in results]) >= 0.99
    assert all(result.size is not False for result in results)


@by_kind
def test_real_drawings_are_right_with_noise_and_blur(name, kind):
    drawn = enumerate(scenes(name, kind))
    results = [adherence(generated(draw(scene, PX[name]), seed), scene) for seed, scene in drawn]
    assert np.mean([result.everything for result in results]) >= 0.98
    ious = [result.outline_iou for result in results if result.outline_iou is not None]
    assert len(ious) == (100 if kind in ("single", "placed") else 0)
    assert all(iou > 0.85 for iou in ious)


def other(rng, names, *taken):
    return rng.choice([name for name in names if name not in taken])


def colours_of(scene):
    return [scene.background, *(thing.colour for thing in scene.things)]


def with_thing(scene, number, **changes):
    things = list(scene.things)
    things[number] = replace(things[number], **changes)
    return replace(scene, things=tuple(things))


def wrong_colour(scene, rng):
    return with_thing(scene, -1, colour=other(rng, world(scene.world).colours, *colours_of(scene)))


def wrong_kind(scene, rng):
    taken = [thing.kind for thing in scene.things]
    roomy = scene.relation == "inside"
    return with_thing(
        scene, -1, kind=other(rng, world(scene.world).roomy if roomy else world(scene.world).kinds, *taken)
    )


def wrong_background(scene, rng):
    return replace(scene, background=other(rng, world(scene.world).colours, *colours_of(scene)))


def missing_thing(scene, rng):
    return replace(scene, things=scene.things[1:])


def extra_thing(scene, rng):
    radius = 6 / GRID
    free = [
        (x, y)
        for x in np.linspace(0.15, 0.85, 8)
        for y in np.linspace(0.15, 0.85, 8)
        if all(max(abs(x - thing.x), abs(y - thing.y)) > thing.radius + radius + 1 / GRID for thing in scene.things)
    ]
    here = world(scene.world)
    colour = other(rng, here.colours, scene.background)
    extra = [Thing(colour, rng.choice(here.kinds), *rng.choice(free), radius)] if free else []
    return replace(scene, things=(*scene.things, *extra))


def swapped_colours(scene, rng):
    first, second, *others = scene.things if len(scene.things) > 1 else (*scene.things, None)
    if second is None or first.colour == second.colour or first.kind == second.kind:
        return scene
    return replace(scene, things=(replace(first, colour=second.colour), replace(second, colour=first.colour), *others))


def swapped_places(scene, rng):
    if scene.kind != "two" or scene.relation == "inside":
        return scene
    first, second = scene.things
    return replace(scene, things=(replace(first, x=second.x, y=second.y), replace(second, x=first.x, y=first.y)))


def wrong_place(scene, rng):
    if scene.kind != "placed":
        return scene
    place = PLACES.index(other(rng, PLACES, scene.place))
    return with_thing(scene, 0, x=(10 + 14 * (place % 3)) / GRID, y=(10 + 14 * (place // 3)) / GRID)


CHANGES = [
    (wrong_colour, lambda result: result.colours == 1),
    (wrong_kind, lambda result: result.kinds == 1),
    (wrong_background, lambda result: result.background),
    (missing_thing, lambda result: result.count),
    (extra_thing, lambda result: result.count),
    (swapped_colours, lambda result: result.colours == result.kinds == 1),
    (swapped_places, lambda result: result.place),
    (wrong_place, lambda result: result.place),
]


@by_world
@pytest.mark.parametrize(("change", "holds"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_drawings_of_a_changed_scene_are_wrong(name, change, holds):
    rng = random.Random(3)
    pairs = [(scene, change(scene, rng)) for kind in world(name).scene_kinds for scene in scenes(name, kind, 20)]
    results = [judged(scene, shown) for scene, shown in pairs if shown != scene]
    assert len(results) >= 8
    assert np.mean([result.everything for result in results]) <= 0.01
    assert np.mean([holds(result) for result in results]) <= 0.01


@by_world
def test_a_thing_of_two_colours_is_wrong(name):
    px = PX[name]
    rng = random.Random(4)
    passed = []
    for scene in (world(name).scene(rng, "single", free=False) for _ in range(150)):
        if scene.things[0].kind == "moon":  # Its right half is no more than its tips.
            continue
        picture = draw(scene, px)
        picture[:, px // 2 :] = draw(wrong_colour(scene, rng), px)[:, px // 2 :]
        passed.append(adherence(picture, scene).everything)
    assert np.mean(passed) <= 0.01


@by_world
def test_a_blot_is_of_no_kind(name):
    scene = next(scene for scene in scenes(name, "single") if scene.things[0].kind == "circle")
    picture = draw(replace(scene, things=()), PX[name])
    picture[5:40, 20:24] = draw(scene, PX[name])[PX[name] // 2, PX[name] // 2]
    picture[36:40, 20:40] = picture[20, 20]
    assert adherence(picture, scene).kinds == 0


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8),
        np.kron(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8)),
        np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3)),
    ],
    ids=["black", "white", "noise", "mosaic", "gradient"],
)
def test_pictures_of_nothing_are_wrong(picture):
    for scene in scenes("large", count=20):
        assert not adherence(picture, scene).everything


def test_a_picture_without_things_has_no_outline():
    scene = scenes("small", "single", 1)[0]
    result = adherence(draw(replace(scene, things=()), 48), scene)
    assert result.background
    assert (result.count, result.colours, result.kinds, result.place, result.size) == (False, 0, 0, False, False)
    assert result.outline_iou is None


def test_what_a_scene_leaves_open_is_right_either_way():
    star = Thing("red", "star", 0.3, 0.3, 0.2)
    scene = Scene("small", "single", "blue", (star,))
    moved = replace(scene, things=(replace(star, x=0.7, radius=0.25),))
    assert judged(scene, moved).everything
    assert judged(scene).size is None
