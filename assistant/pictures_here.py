"""Pictures that a server drew, fetched into files whose names tell what they show."""

import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from serving.errors import UserError
from serving.home import home
from serving.images.files import UnreadablePictureError, decode, open_picture
from serving.images.output import named_after

FETCH_S = 30
MAX_BYTES = 64 * 2**20


class PictureError(UserError):
    """A picture that cannot be fetched or kept; the message is a clause."""


def fetch_picture(url: str, prompt: str) -> Path:
    """A new file in the home's `images` with the picture at `url`. Raises `PictureError`."""
    if not url.startswith(("http://", "https://")):
        raise PictureError("the server does not say where the picture is")
    try:
        with urllib.request.urlopen(url, timeout=FETCH_S) as answer:
            data = answer.read(MAX_BYTES)
        opened = open_picture(data)
        decode(opened)
        name = named_after(prompt).with_suffix(f".{opened.format.lower()}")
        file = next(path for path in _numbered(home() / "images" / name) if not path.exists())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except UnreadablePictureError as error:
        raise PictureError(f"the picture that came cannot be shown: {error}") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PictureError(f"the picture cannot be fetched or kept ({why})") from None
    return file


def as_people_write(path: Path) -> str:
    """From the working directory if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in count(2))
