import random

import numpy as np
import pytest
from scipy import ndimage

from eval.pictures.draw import draw, mask
from eval.pictures.fit import fit
from eval.pictures.outlines import OUTLINES, coverage
from eval.pictures.palette import PALETTE
from eval.pictures.scene import Scene, Thing
from eval.pictures.world import world


def solid(kind, radius, px=64):
    pixels = np.zeros((px, px), bool)
    start = px // 2 - radius
    pixels[start : start + 2 * radius, start : start + 2 * radius] = coverage(kind, radius) > 0.5
    return pixels


@pytest.mark.parametrize("px", [32, 48, 64, 100, 256])
def test_a_thing_stands_where_the_scene_says(px):
    scene = Scene("small", "single", "white", (Thing("red", "square", 0.25, 0.75, 0.2),))
    picture = draw(scene, px)
    assert picture.shape == (px, px, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[round(0.75 * px), round(0.25 * px)]) == PALETTE["red"]
    assert tuple(picture[round(0.25 * px), round(0.75 * px)]) == PALETTE["white"]
    blue = picture[..., 2].astype(float)
    covered = (blue.max() - blue).mean() / (blue.max() - blue.min())
    assert covered == pytest.approx((2 * round(0.2 * px) / px * 0.85) ** 2, rel=0.05)


@pytest.mark.parametrize("px", [32, 41, 48, 64, 128, 256])
def test_every_scene_fits_at_every_size(px):
    rng = random.Random(px)
    for _ in range(50):
        scene = world("large").scene(rng, free=rng.random() < 0.5)
        changed = (draw(scene, px) != PALETTE[scene.background]).any(-1)
        assert changed.any()
        assert (mask(scene, px) >= changed).all()
        assert mask(scene, px).mean() < changed.mean() + 0.1


def test_what_is_inside_is_drawn_upon_what_is_around_it():
    things = (Thing("red", "circle", 0.5, 0.5, 0.15), Thing("blue", "square", 0.5, 0.5, 0.4))
    picture = draw(Scene("large", "two", "white", things, relation="inside"), 64)
    assert tuple(picture[32, 32]) == PALETTE["red"]
    assert tuple(picture[32, 10]) == PALETTE["blue"]


@pytest.mark.parametrize("kind", OUTLINES)
def test_an_outline_hangs_together_and_fills_its_square(kind):
    for radius in (7, 8, 9, 24):
        assert ndimage.label(solid(kind, radius), np.ones((3, 3)))[1] == 1
    filled = coverage(kind, 40) > 0.5
    assert max(filled.any(0).sum(), filled.any(1).sum()) >= 0.84 * 80


@pytest.mark.parametrize("radius", [8, 9])
def test_no_two_kinds_look_alike(radius):
    kinds = tuple(OUTLINES)
    for kind in kinds:
        fitted = fit(solid(kind, radius), kinds)
        assert fitted.kind == kind
        assert fitted.radius[kind] == radius
        assert sorted(fitted.iou.values())[-2] < 0.85


def test_colours_lie_well_apart():
    paints = np.array(list(PALETTE.values()), float)
    distances = np.linalg.norm(paints[:, None] - paints, axis=-1)
    assert distances[~np.eye(len(paints), dtype=bool)].min() > 100
