import base64
import io

import pytest
from PIL import Image

from serving.api.errors import ApiError
from serving.images.request import MAX_SIDE, DrawRequest
from serving.images.uploads import Upload, read_upload


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def upload(image: Image.Image, mask: Image.Image | None = None) -> Upload:
    return read_upload(DrawRequest(prompt="x", image=encoded(image), mask=mask and encoded(mask)))


def left_half(mode: str, background: object, colour: object) -> Image.Image:
    picture = Image.new(mode, (40, 20), background)
    picture.paste(colour, (0, 0, 20, 20))
    return picture


def test_without_pictures_there_is_none() -> None:
    assert read_upload(DrawRequest(prompt="x")) is None


def test_transparency_becomes_white_and_photos_are_turned_upright() -> None:
    assert upload(Image.new("RGBA", (8, 8), (255, 0, 0, 0))).image.getpixel((0, 0)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # its right is up
    photo = encoded(left_half("RGB", "red", "blue"), "JPEG", exif=exif)
    image = read_upload(DrawRequest(prompt="x", image=photo)).image
    assert image.size == (20, 40)
    assert image.getpixel((10, 5))[2] > 200 > image.getpixel((10, 35))[2]


@pytest.mark.parametrize(
    "mask",
    [
        left_half("RGBA", (0, 0, 0, 255), (9, 9, 9, 0)),  # transparent on the left
        left_half("RGB", "black", "white"),
        left_half("L", 0, 255),
        left_half("1", 0, 1),
        left_half("RGBA", (0, 0, 0, 255), (255, 255, 255, 255)),  # opaque, so that its colours count
    ],
)
def test_a_mask_is_white_where_the_picture_is_drawn_anew(mask: Image.Image) -> None:
    given = upload(Image.new("RGB", (40, 20), "green"), mask)
    assert (given.mask.getpixel((5, 10)), given.mask.getpixel((35, 10))) == (255, 0)
    drawn = given.merged(Image.new("RGB", (8, 8), "red"), (80, 40))
    assert drawn.size == (80, 40)
    assert (drawn.getpixel((10, 20)), drawn.getpixel((70, 20))) == ((255, 0, 0), (0, 128, 0))


def test_large_pictures_are_made_smaller_with_their_masks() -> None:
    side = MAX_SIDE + 100
    given = upload(Image.new("RGB", (side, 50), "red"), Image.new("L", (side, 50), 255))
    assert given.image.size == given.mask.size
    assert max(given.image.size) == MAX_SIDE


def test_both_are_stretched_to_the_size_that_is_drawn() -> None:
    image, mask = upload(left_half("RGB", "red", "blue"), left_half("L", 0, 255)).fitted((16, 16))
    assert image.size == mask.size == (16, 16)
    assert image.getpixel((2, 8)) == (0, 0, 255)


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("not base64!", "no base64"),
        (base64.b64encode(b"GIF89a" + bytes(50)).decode(), "no PNG, JPEG or WebP"),
        (encoded(left_half("RGB", "red", "blue"))[:-80] + "AAAA", "damaged"),
        (encoded(Image.new("1", (9000, 9000))), "pixels"),
    ],
)
def test_what_is_no_picture_is_refused(field: str, data: str, reason: str) -> None:
    fields = {"image": encoded(Image.new("RGB", (8, 8))), field: data}
    with pytest.raises(ApiError, match=reason) as refused:
        read_upload(DrawRequest(prompt="x", **fields))
    assert (refused.value.status, refused.value.param) == (400, field)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ApiError, match="it has 8x8, the image 40x20 pixels"):
        upload(left_half("RGB", "red", "blue"), Image.new("L", (8, 8)))
