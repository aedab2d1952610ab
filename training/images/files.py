"""Captioned picture files: a table of captions, and the pictures beside it or in zip and tar archives."""

import hashlib
import math
import os
import random
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from serving.errors import UserError
from serving.images.files import SUFFIXES, UnreadablePictureError, decode, open_picture, parsing
from training.corpus.locations import digest_of, locate
from training.corpus.readers import DAMAGE, read_rows
from training.corpus.spec import SourceReport
from training.images.drawn import Drawn, near
from training.images.section import PictureSource
from training.images.words import words_of

FILE_COLUMNS = ("file", "file_name", "image")
ARCHIVE = re.compile(r"\.(zip|tar|tgz|txz|tar\.(gz|xz))$", re.IGNORECASE)
MAX_BYTES = 64 * 2**20
NO_CAPTION, NO_PICTURE = "pictures without a caption", "rows without their picture"
TOO_LARGE = "pictures of more than 64 MB"


class File(NamedTuple):
    """A picture file; `place` is its path, in which an archive counts as a folder, `data` None if it is too large."""

    place: PurePosixPath
    data: bytes | None


class FilePictures:
    """The captioned pictures of a source, kept in memory at the training size; a share of them is held out."""

    def __init__(self, source: PictureSource, size: int) -> None:
        report = SourceReport(name=source.label)
        found = sorted(_captioned(source, size, report), key=lambda pair: pair[0])
        if not found:
            why = f" ({report.reasons()})" if report.skipped else ""
            raise UserError(
                f"The source {source.name} has no captioned picture{why}: a table (csv, jsonl) must name pictures "
                f"(PNG, JPEG, WebP) in its column {' or '.join(FILE_COLUMNS)}, and have their captions in "
                f"{' or '.join(source.caption)} (`caption` in the recipe)."
            )
        pictures = [drawn for _, drawn in found]
        kept = math.ceil(source.held_out * len(pictures)) if len(pictures) > 1 else 0
        self._held_out, self._training = pictures[:kept] or pictures, pictures[kept:]
        self.words = sorted({word for drawn in pictures for word in words_of(drawn.caption)})
        self.count = len(self._training)
        self.unusable = report.unusable()

    def sample(self, rng: random.Random, held_out: bool = False) -> Drawn:
        return rng.choice(self._held_out if held_out else self._training)


def digest_of_source(name: str) -> str:
    """The sha256 of a source's files, pictures and tables alike."""
    tables, pictures = _files_of(name)
    return digest_of(sorted({*tables, *pictures}))


def read_captions(tables: Iterable[Path], columns: list[str], report: SourceReport) -> "Captions":
    """The captions that `tables` hold in `columns`; rows that name no picture are passed over."""
    captions = Captions()
    for table in tables:
        for row in read_rows(table):
            if row.data is None:
                report.skip(row.problem, row.place)
            elif name := next((row.data[column] for column in FILE_COLUMNS if row.data.get(column)), None):
                captions.add(row.place, str(name), _caption(row.data, columns))
    return captions


class Captions:
    """Captions by the pictures that they are about."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[str, PurePosixPath, str]]] = {}

    def add(self, place: str, name: str, caption: str) -> None:
        """`name` is the end of a picture's path, `place` where a table says so."""
        row = (place, _as_folder(place).parent, caption)
        self._rows.setdefault(PurePosixPath(name.replace("\\", "/")).as_posix(), []).append(row)

    def find(self, place: PurePosixPath) -> str | None:
        """The caption of the picture at `place`; of several tables that name it, the one nearest to it counts."""
        ends = ["/".join(place.parts[start:]) for start in range(len(place.parts))]
        rows = [row for end in ends for row in self._rows.get(end, ())]
        nearest = max(rows, key=lambda row: len(os.path.commonpath([row[1], place])), default=None)
        return nearest and nearest[2]

    def lacking(self, names: set[str]) -> Iterator[str]:
        """Where rows stand whose picture is none of those called `names`."""
        for name, rows in self._rows.items():
            if PurePosixPath(name).name not in names:
                yield from (place for place, *_ in rows)


def fitted(data: bytes, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture as uint8 (size, size, 3), and where it shows a thing, bool (size, size).

    What is transparent becomes white and is no thing; such a picture is shown whole. Of another one the middle is
    shown, and it is no thing as a whole. Raises `UnreadablePictureError`.
    """
    picture = decode(open_picture(data), "RGBA")
    with parsing():
        picture = ImageOps.exif_transpose(picture)
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    alpha = picture.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return np.asarray(ImageOps.fit(flat, (size, size), Image.Resampling.LANCZOS)), np.zeros((size, size), bool)
    shown = ImageOps.pad(flat, (size, size), Image.Resampling.LANCZOS, color="white")
    covered = np.asarray(ImageOps.pad(alpha, (size, size), Image.Resampling.LANCZOS, color=0))
    return np.asarray(shown), near(covered > 127)


def _captioned(source: PictureSource, size: int, report: SourceReport) -> Iterator[tuple[bytes, Drawn]]:
    """The usable pictures of `source`, each with a hash that puts them in an order of no meaning."""
    tables, pictures = _files_of(source.name)
    captions = read_captions(tables, source.caption, report)
    names = set()
    for place, data in _read(tables, pictures):
        names.add(place.name)
        caption = captions.find(place)
        if data is None or not caption:
            report.skip(TOO_LARGE if data is None else NO_CAPTION, str(place))
            continue
        try:
            shown, things = fitted(data, size)
        except UnreadablePictureError as error:
            report.skip(f"unreadable pictures ({error})", str(place))
            continue
        yield hashlib.sha256(data).digest(), Drawn(shown, caption, things)
    for place in captions.lacking(names):
        report.skip(NO_PICTURE, place)


def _files_of(name: str) -> tuple[list[Path], list[Path]]:
    """The tables and archives that `name` means or that lie beside its table, and the pictures there."""
    named = locate(name)
    if not named:
        raise UserError(f"The source {name} is not here, and pictures are not read from the Hugging Face hub: get it.")
    folder = _folder_called(name, named)
    if folder is None and all(ARCHIVE.search(file.name) for file in named):
        return named, []
    inside = sorted(path for path in (folder or named[0].parent).rglob("*") if path.is_file())
    archives = [path for path in inside if ARCHIVE.search(path.name)]
    return list(dict.fromkeys([*named, *archives])), [path for path in inside if _is_picture(path)]


def _folder_called(name: str, named: list[Path]) -> Path | None:
    """The folder that `name` means, which holds the files `named`; None if it means files."""
    bases = (Path.cwd(), Path(os.environ.get("HOMEGROWN_DATA", ".")))
    folders = (base / os.path.expanduser(name) for base in bases)
    return next((folder for folder in folders if folder.is_dir() and named[0].is_relative_to(folder)), None)


def _is_picture(path: PurePosixPath | Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read(files: list[Path], pictures: list[Path]) -> Iterator[File]:
    """The loose `pictures`, then those in the archives among `files`."""
    for path in pictures:
        yield File(PurePosixPath(path), path.read_bytes() if path.stat().st_size <= MAX_BYTES else None)
    for path in files:
        if ARCHIVE.search(path.name):
            try:
                yield from _zipped(path) if path.suffix.lower() == ".zip" else _tarred(path)
            except DAMAGE as error:
                raise UserError(f"{path} is truncated or damaged ({error}): copy or download it again.") from None


def _zipped(path: Path) -> Iterator[File]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = PurePosixPath(path) / member.filename
            if _is_picture(place):
                yield File(place, archive.read(member) if member.file_size <= MAX_BYTES else None)


def _tarred(path: Path) -> Iterator[File]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            place = PurePosixPath(path) / member.name
            if member.isfile() and _is_picture(place):
                yield File(place, archive.extractfile(member).read() if member.size <= MAX_BYTES else None)


def _as_folder(place: str) -> PurePosixPath:
    """The path of the table that a row's place names, in which an archive counts as a folder."""
    label = place.rpartition(", ")[0]
    return PurePosixPath(re.sub(r"(\.(?:zip|tar|tgz|txz|gz|xz)):", r"\1/", label, flags=re.IGNORECASE))


def _caption(row: dict, columns: list[str]) -> str:
    """The texts in `columns`, joined by commas; a text may be a list itself."""
    values = [value for column in columns if (value := row.get(column))]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return ", ".join(" ".join(str(text).split()) for text in texts)
