"""Pictures of a run for the page: small, as data that needs no other file; for its browser of samples once each."""

import base64
import io
from pathlib import Path

from eval.drawn import opened

SIDE, COLOURS = 96, 64
"""Pixels a side and colours at most: what a reader needs, in about a kilobyte."""
PREFIX = "data:image/png;base64,"


class Thumbnails:
    """Each different picture once, by its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._files: dict[str, int] = {}

    def number(self, file: Path) -> int | None:
        """Of the picture in a file that is called by its sha256; None where it is gone, or its bytes are no picture."""
        if file.name not in self._files:
            self._files[file.name] = self._thumbnail(file)
        return self._files[file.name]

    def kept(self, encoded: str) -> int:
        """Of a small PNG in base64."""
        return self._numbers.setdefault(PREFIX + encoded, len(self._numbers))

    def all(self) -> list[str]:
        """The data URIs, by their numbers."""
        return list(self._numbers)

    def _thumbnail(self, file: Path) -> int | None:
        small = thumbnail(file)
        return None if small is None else self._numbers.setdefault(small, len(self._numbers))


def thumbnail(file: Path) -> str | None:
    """A small copy of the picture as a data URI; None where it is gone, or its bytes are no picture."""
    picture = opened(file.read_bytes()) if file.exists() else None
    if picture is None:
        return None
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.quantize(COLOURS).save(data, "png", optimize=True)
    return PREFIX + base64.b64encode(data.getvalue()).decode()
