"""Folders of captioned pictures: captions.jsonl (or csv, tsv) beside the picture files, or beside a zip of them."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from eval.data import rows
from eval.drawn import opened
from serving.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

TABLES = ("captions", "metadata")
"""What the table of captions may be called."""
CAPTION_COLUMNS, FILE_COLUMNS = ("caption", "text"), ("file", "file_name")


def captions(folder: Path) -> dict[str, str]:
    """Caption -> file, for every different caption. Raises `UserError` when there is no table of them."""
    files = [file for name in TABLES for file in sorted(folder.glob(f"{name}.*"))]
    table = next((file for file in files if {".jsonl", ".csv", ".tsv"} & set(file.suffixes)), None)
    if table is None:
        raise UserError(f"The folder {folder} has no captions.jsonl or captions.csv: a file and a caption a line.")
    found: dict[str, str] = {}
    for row in rows(table):
        caption, file = (_first(row, columns) for columns in (CAPTION_COLUMNS, FILE_COLUMNS))
        if caption and file:
            found.setdefault(caption, file)
    return found


def pictures(folder: Path, files: Iterable[str]) -> "Iterator[Image.Image | None]":
    """The pictures of `files`, in RGB; None for one that is not there or cannot be read."""
    places = [folder, *map(zipfile.Path, sorted(folder.glob("*.zip")))]
    for file in files:
        found = next((place / file for place in places if (place / file).is_file()), None)
        yield opened(found.read_bytes()) if found else None


def _first(row: dict, columns: tuple[str, ...]) -> str:
    return next((str(row[column]) for column in columns if row.get(column)), "")
