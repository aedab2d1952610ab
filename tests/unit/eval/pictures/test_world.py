import random

import pytest

from eval.pictures.draw import draw
from eval.pictures.layouts import GAP, GRID
from eval.pictures.outlines import OUTLINES
from eval.pictures.palette import PALETTE
from eval.pictures.shapes import SHAPES
from eval.pictures.things import THINGS
from eval.pictures.world import world

WORLDS = [world("small"), world("large")]
by_world = pytest.mark.parametrize("here", WORLDS, ids=lambda here: here.name)


def scenes(here, count=200, **wanted):
    rng = random.Random(1)
    return [here.scene(rng, kind, **wanted) for kind in here.scene_kinds for _ in range(count)]


def looks(scene):
    return [(thing.colour, thing.kind) for thing in scene.things]


def test_worlds_are_as_large_as_they_claim():
    small, large = WORLDS
    assert len(small.colours) >= 10
    assert len(small.kinds) >= 8
    assert len(large.colours) >= 12
    assert len(set(large.kinds) & set(SHAPES)) >= 10
    assert len(set(large.kinds) & set(THINGS)) >= 20


@by_world
def test_every_word_of_a_world_can_be_drawn(here):
    assert set(here.colours) <= set(PALETTE)
    assert set(here.kinds) <= set(OUTLINES)
    assert set(here.roomy) <= set(here.kinds)


@by_world
def test_held_out_pairs_leave_every_colour_and_kind_in_training(here):
    held_out = set(here.held_out)
    assert held_out <= {(colour, kind) for colour in here.colours for kind in here.kinds}
    assert len(held_out) == len(here.held_out) >= 0.04 * len(here.colours) * len(here.kinds)
    seen = {look for scene in scenes(here) for look in looks(scene)}
    assert not held_out & seen
    assert {colour for colour, _ in seen} == set(here.colours)
    assert {kind for _, kind in seen} == set(here.kinds)


@by_world
def test_held_out_scenes_begin_with_a_held_out_pair(here):
    drawn = scenes(here, held_out=True)
    assert all(looks(scene)[0] in here.held_out for scene in drawn)
    assert {looks(scene)[0] for scene in drawn} == set(here.held_out)


@by_world
@pytest.mark.parametrize("free", [False, True])
def test_things_stay_inside_and_apart(here, free):
    for scene in scenes(here, free=free):
        for thing in scene.things:
            assert all(thing.radius - 1e-9 < at < 1 - thing.radius + 1e-9 for at in (thing.x, thing.y))
        for i, one in enumerate(scene.things):
            for other in scene.things[:i]:
                distance = max(abs(one.x - other.x), abs(one.y - other.y))
                if scene.relation == "inside":
                    assert distance + one.radius < other.radius or distance + other.radius < one.radius
                else:
                    assert distance >= one.radius + other.radius + GAP / GRID - 1e-9


@by_world
def test_colours_differ_from_what_is_behind_them(here):
    for scene in scenes(here):
        assert scene.background not in {thing.colour for thing in scene.things}
        if scene.relation == "inside":
            assert scene.things[0].colour != scene.things[1].colour


@by_world
def test_only_counted_things_look_alike(here):
    for scene in scenes(here):
        assert len(set(looks(scene))) == (1 if scene.kind == "counted" else len(scene.things))


def test_fixed_places_move_by_a_pixel_of_48_and_free_ones_by_more():
    def columns(free):
        return {round(scene.things[0].x * GRID, 3) for scene in scenes(WORLDS[0], free=free) if scene.kind == "placed"}

    assert columns(False) == {7, 8, 9, 23, 24, 25, 39, 40, 41}
    assert len(columns(True)) > 100


def test_kinds_of_scenes_come_as_often_as_the_world_says():
    rng = random.Random(2)
    kinds = [WORLDS[0].scene(rng).kind for _ in range(4000)]
    for kind, weight in WORLDS[0].scenes.items():
        assert abs(kinds.count(kind) - 1000 * weight) < 120


@by_world
def test_a_seed_decides_everything(here):
    first, again, other = ([here.scene(random.Random(seed)) for _ in range(3)] for seed in (5, 5, 6))
    assert first == again != other
    assert (draw(first[0], 48) == draw(again[0], 48)).all()
