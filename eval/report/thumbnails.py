"""Pictures of a run for the page's browser of samples: small, once each, as data that needs no other file."""

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
        picture = opened(file.read_bytes()) if file.exists() else None
        if picture is None:
            return None
        picture.thumbnail((SIDE, SIDE))
        data = io.BytesIO()
        picture.quantize(COLOURS).save(data, "png", optimize=True)
        return self.kept(base64.b64encode(data.getvalue()).decode())
