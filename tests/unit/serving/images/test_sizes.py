import pytest
from PIL import Image

from serving.images.sizes import Size, drawn_size, resampled


@pytest.mark.parametrize(
    ("native", "wanted", "drawn"),
    [
        ((512, 512), None, (512, 512)),
        ((512, 512), (512, 512), (512, 512)),
        ((512, 512), (500, 300), (496, 304)),  # multiples of 8
        ((1024, 1024), (1000, 600), (1024, 576)),  # multiples of 64
        ((1024, 1024), (1536, 1024), (1536, 1024)),
        ((512, 512), (2048, 1024), (728, 360)),  # too large: the native area in the wanted shape
        ((512, 512), (64, 64), (512, 512)),  # too small: the same
        ((512, 512), (4096, 16), (1024, 16)),  # never longer than twice the native side
    ],
)
def test_a_size_that_the_model_can_draw_is_near_the_wanted_one(native: Size, wanted: Size | None, drawn: Size) -> None:
    assert drawn_size(native, wanted, own=False) == drawn


@pytest.mark.parametrize("wanted", [None, (512, 512), (640, 480), (16, 16)])
def test_our_own_models_draw_only_their_native_size(wanted: Size | None) -> None:
    assert drawn_size((48, 48), wanted, own=True) == (48, 48)


def two_halves(size: Size) -> Image.Image:
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (0, 0, size[0] // 2, size[1]))
    return picture


def test_the_same_shape_is_stretched() -> None:
    assert resampled(two_halves((48, 48)), (48, 48)).getpixel((0, 0)) == (0, 0, 255)
    larger = resampled(two_halves((48, 48)), (512, 500))
    assert larger.size == (512, 500)
    assert (larger.getpixel((10, 250)), larger.getpixel((500, 250))) == ((0, 0, 255), (255, 0, 0))


@pytest.mark.parametrize("size", [(512, 256), (256, 512), (300, 16), (16, 4096)])
def test_another_shape_shows_the_whole_picture_with_its_edges_drawn_out(size: Size) -> None:
    shown = resampled(two_halves((48, 48)), size)
    assert shown.size == size
    assert shown.getpixel((0, size[1] // 2)) == (0, 0, 255)
    assert shown.getpixel((size[0] - 1, size[1] // 2)) == (255, 0, 0)
    # A circle stays one: the middle square holds the picture unstretched.
    side = min(size)
    inner = shown.crop(((size[0] - side) // 2, (size[1] - side) // 2, (size[0] + side) // 2, (size[1] + side) // 2))
    assert inner.tobytes() == resampled(two_halves((48, 48)), (side, side)).tobytes()
