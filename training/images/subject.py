"""The pictures that a LoRA is trained on: a handful of the subject's, with the trigger word in every caption."""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from serving.errors import UserError
from serving.images.files import SUFFIXES, UnreadablePictureError
from training.corpus.readers import TEXTS, is_readable
from training.corpus.spec import SourceReport
from training.images.files import fitted, read_captions

CAPTION_COLUMNS = ["caption", "text"]
OTHER_PICTURES = (".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff")


class Photo(NamedTuple):
    """uint8 (size, size, 3)."""

    picture: np.ndarray
    caption: str


def subject_files(folder: Path) -> list[Path]:
    """The picture files in `folder`. Raises `UserError` when there is none."""
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name one with a handful of pictures of the subject.")
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not pictures:
        others = sum(file.suffix.lower() in OTHER_PICTURES for file in files)
        convert = f"convert its {others} pictures of other formats" if others else "put a handful of the subject there"
        raise UserError(f"The folder {folder} holds no PNG, JPEG or WebP picture: {convert}.")
    return pictures


def read_subject(folder: Path, size: int, token: str, class_name: str | None, otherwise: str) -> list[Photo]:
    """The pictures in `folder` at `size` x `size`.

    Captions come from a text file of the same name, from a table (jsonl, csv) in the folder, or are `otherwise`.
    Raises `UserError` when there is no picture, or one cannot be read.
    """
    files = subject_files(folder)
    tables = [file for file in sorted(folder.iterdir()) if is_readable(file) and file.suffix.lower() not in TEXTS]
    captions = read_captions(tables, CAPTION_COLUMNS, SourceReport(name=str(folder)))
    photos = []
    for file in files:
        beside = file.with_suffix(".txt")
        told = (
            beside.read_text(encoding="utf-8", errors="replace")
            if beside.is_file()
            else captions.find(PurePosixPath(file))
        )
        try:
            picture, _ = fitted(file.read_bytes(), size)
        except UnreadablePictureError as error:
            raise UserError(f"The picture {file} cannot be used, since {error}: mend or remove it.") from None
        photos.append(Photo(picture, with_token(told, token, class_name) if told else otherwise))
    return photos


def named(token: str, class_name: str | None) -> str:
    """What the subject is called in captions."""
    return f"{token} {class_name}" if class_name else token


def with_token(caption: str, token: str, class_name: str | None) -> str:
    """`caption` with the trigger word: as it is, put before the word for the class, or put before everything."""
    caption = " ".join(caption.split())
    if re.search(rf"\b{re.escape(token)}\b", caption, re.IGNORECASE):
        return caption
    if class_name and (found := re.search(rf"\b{re.escape(class_name)}\b", caption, re.IGNORECASE)):
        return f"{caption[: found.start()]}{token} {caption[found.start() :]}"
    return f"a {named(token, class_name)}, {caption}"
