"""Picture files: which formats there are, and opening one that a stranger made."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from serving.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
MAX_PIXELS = 64 * 2**20


class UnreadablePictureError(UserError):
    """The bytes are no picture that may be read."""


def open_picture(data: bytes) -> "Image.Image":
    """The picture in `data`, its metadata read and its pixels not yet decoded.

    Raises `UnreadablePictureError` for anything but a PNG, JPEG or WebP, and for one of more than `MAX_PIXELS`.
    """
    from PIL import Image

    with parsing():
        picture = Image.open(io.BytesIO(data), formats=list(MEDIA_TYPES))
    if picture.width * picture.height > MAX_PIXELS:
        raise UnreadablePictureError(
            f"it has {picture.width}x{picture.height} pixels, and more than {MAX_PIXELS // 2**20} million are not read"
        )
    return picture


def decode(picture: "Image.Image", mode: str = "RGB") -> "Image.Image":
    """The opened `picture` decoded, as `mode`. Raises `UnreadablePictureError` when they are damaged."""
    with parsing():
        return picture.convert(mode)


@contextmanager
def parsing() -> Iterator[None]:
    """Make `UnreadablePictureError` of whatever Pillow raises over a hostile file, which is nearly anything."""
    try:
        yield
    except Exception as error:
        raise UnreadablePictureError(_unreadable(error)) from None


def _unreadable(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {MAX_PIXELS // 2**20} million pixels"
    if isinstance(error, UnidentifiedImageError):
        return "it is no PNG, JPEG or WebP picture"
    return "it is damaged"
