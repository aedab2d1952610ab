"""The watermark survives what happens to pictures, is hard to see, and is not seen where it is not."""

import hashlib
import io
import random

import numpy as np
import pytest
from PIL import Image

from eval.pictures.draw import draw
from eval.pictures.world import world
from serving.images import watermark

LANCZOS = Image.Resampling.LANCZOS


def scene(seed: int, px: int = 256) -> Image.Image:
    return Image.fromarray(draw(world("large").scene(random.Random(seed)), 48)).resize((px, px), LANCZOS)


def texture(seed: int, size: tuple[int, int] = (256, 256)) -> Image.Image:
    """Clouds with the spectrum of photographs, from black to white."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.normal(size=(n, n, 3)).mean(2).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
        for n in (4, 8, 16, 32, 64, 128)
    ]
    clouds = sum(np.asarray(layer) / 2**i for i, layer in enumerate(layers))
    return Image.fromarray(np.uint8(np.clip(128 + 60 * clouds / (clouds.std() + 1e-6), 0, 255))).convert("RGB")


def encoded(picture: Image.Image, format: str) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, format, quality=75)
    return Image.open(file).convert("RGB")


def half(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width // 2, picture.height // 2), LANCZOS)


PICTURES = {
    "scene": scene(1),
    "large scene": scene(2, 512),
    "wide clouds": texture(3, (384, 256)),
    "white": Image.new("RGB", (256, 256), "white"),
    "black": Image.new("RGB", (256, 256), "black"),
    "red": Image.new("RGB", (256, 256), (255, 0, 0)),
}
TREATMENTS = {
    "nothing": lambda picture: picture,
    "jpeg": lambda picture: encoded(picture, "JPEG"),
    "webp": lambda picture: encoded(picture, "WEBP"),
    "half": half,
    "half and back": lambda picture: half(picture).resize(picture.size),
    "half, jpeg": lambda picture: encoded(half(picture), "JPEG"),
    "half, webp": lambda picture: encoded(half(picture), "WEBP"),
    "half, back, jpeg": lambda picture: encoded(half(picture).resize(picture.size), "JPEG"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_mark_survives_and_is_hard_to_see(name: str) -> None:
    before = PICTURES[name]
    after = watermark.embed(before)
    assert after.size == before.size
    error = np.mean((np.float64(before) - np.float64(after)) ** 2)
    assert 0 < error < 255**2 / 10**3.8  # at least 38 dB
    p = {treatment: watermark.detect(treat(after)) for treatment, treat in TREATMENTS.items()}
    assert max(p.values()) < 0.001, p
    assert watermark.detect(before) > 0.001


def test_the_larger_the_picture_the_fainter_the_mark() -> None:
    faint = [np.abs(np.float64(scene(5, px)) - np.float64(watermark.embed(scene(5, px)))).mean() for px in (256, 768)]
    assert faint[1] < 0.7 * faint[0]


def test_unmarked_pictures_are_not_called_marked() -> None:
    pictures = [scene(seed) for seed in range(60)] + [texture(seed) for seed in range(60)]
    p = np.array([watermark.detect(picture) for picture in pictures])
    assert (p < 0.001).sum() == 0
    assert (p < 0.01).mean() <= 0.012
    # Conservative, yet not so much that the figure says nothing.
    assert 0.005 < (p < 0.1).mean() < 0.1


def test_the_p_value_holds_for_any_picture_over_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture against many keys: the claim that needs no assumption about pictures."""
    signs = np.random.default_rng(0).choice([-1, 1], (150, watermark._signs().size)).astype(np.float32)
    p = []
    for key in signs:
        monkeypatch.setattr(watermark, "_signs", lambda key=key: key)
        p.append(watermark.detect(half(scene(1))))
    assert 0.005 < np.mean(np.array(p) < 0.1) < 0.1


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (64, 64), (2000, 3)])
def test_any_size_can_be_asked(size: tuple[int, int]) -> None:
    assert watermark.detect(texture(0, size)) > 0.001
    assert not watermark.fits(texture(0, size))


def test_a_single_colour_bears_no_evidence() -> None:
    assert watermark.detect(Image.new("RGB", (300, 300), (10, 200, 30))) == 1.0


def test_marks_of_earlier_versions_stay_readable() -> None:
    """Key, band and signs are fixed for ever."""
    digest = hashlib.sha256(np.packbits(watermark._band()).tobytes() + np.int8(watermark._signs()).tobytes())
    assert digest.hexdigest() == "667d442b00a1262870be083a6b8476ca24a0f62ff21ce2d30ca95bb0451edfc8"
