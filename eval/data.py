"""Where samples come from: exams that training wrote, files of the project, local copies of public sets."""

import csv
import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from prompts.library import FOLDER as PROMPTS
from serving.errors import UserError
from serving.home import home

Sample = dict[str, Any]
LISTS = ("answers", "wrong")
"""Fields of which a sample may have several."""
OPENERS = {".gz": gzip.open, ".xz": lzma.open}
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError)
csv.field_size_limit(2**24)


class Missing(Exception):
    """The data of a task are not on this machine; says what to do about it."""


@dataclass(frozen=True)
class Inputs:
    """Where a run looks for its samples."""

    model: str = "almanac"
    """Which exam is asked: exams/<model>/dev.jsonl of HOMEGROWN_HOME, or the almanac's if that model has none."""
    questions: Path | None = None
    """A file of questions instead of that exam."""
    folder: Path | None = None
    """The folder of the model, where it has one here."""
    pictures: str | None = None
    """What the model learnt to draw: a world of `eval.pictures`, or a folder of captioned pictures; None: what its
    lineage says."""
    training_text: Path | None = None
    """Documents that the model was trained on, and in the same shape some that it was not: the control."""
    held_out_text: Path | None = None
    prompts: Path | None = None
    """A folder of prompting techniques instead of ours."""
    documents: Path | None = None
    """What a technique that puts passages into its prompts finds them in."""
    full: bool = False
    """Whether every technique is asked every question, and none is given up early."""

    def exam(self) -> Path:
        if self.questions:
            return self.questions
        own = home() / "exams" / self.model / "dev.jsonl"
        return own if own.exists() else home() / "exams" / "almanac" / "dev.jsonl"


def public_data() -> Path | None:
    """The folder of local copies of public data sets that HOMEGROWN_DATA names, if any."""
    return Path(os.environ["HOMEGROWN_DATA"]).expanduser() if os.environ.get("HOMEGROWN_DATA") else None


def file(path: str | Path) -> Callable[[Inputs], list[Sample]]:
    """The rows of a file that the user named. Raises `UserError` when it is not there."""

    def read(inputs: Inputs) -> list[Sample]:
        return list(user_rows(Path(path).expanduser()))

    return read


def project_file(path: str) -> Callable[[Inputs], list[Sample]]:
    """The rows of a file below prompts/, which the project wrote itself."""
    return lambda inputs: list(rows(PROMPTS / path))


def public_path(path: str) -> Path:
    """A file or folder of HOMEGROWN_DATA. Raises `Missing` when it is not there."""
    folder = public_data()
    if folder is None:
        raise Missing(f"{path} is read from local copies of public sets: set HOMEGROWN_DATA to their folder")
    if not (folder / path).exists():
        raise Missing(f"HOMEGROWN_DATA has no {path}")
    return folder / path


def public_rows(path: str) -> list[Sample]:
    """The rows of one file of HOMEGROWN_DATA; each has an "id", its line number where the file gives none.

    Raises `Missing` when it is not there.
    """
    return [{"id": str(number)} | row for number, row in enumerate(rows(public_path(path)), 1)]


def public_text(path: str) -> str:
    """The whole of one file of HOMEGROWN_DATA. Raises `Missing` when it is not there."""
    place = public_path(path)
    try:
        with open_text(place) as file:
            return file.read()
    except UNREADABLE as error:
        raise UserError(f"The file {place} cannot be read ({error}): it must be whole and in UTF-8.") from None


def public_json(path: str) -> Any:
    """What one JSON file of HOMEGROWN_DATA holds. Raises `Missing` when it is not there."""
    try:
        return json.loads(public_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"The file {public_path(path)} is not JSON ({error}): fetch it again.") from None


def user_rows(path: Path) -> Iterator[Sample]:
    """The `rows` of a file that a user wrote: a text alone in a field of `LISTS` is a list of one.

    Scores go through such a field one by one, and would take the text for its letters.
    """
    for row in rows(path):
        yield row | {name: [row[name]] for name in LISTS if isinstance(row.get(name), str)}


def open_text(path: Path) -> IO[str]:
    """A UTF-8 text file, also compressed with .gz or .xz; line ends stay as they are."""
    return OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="")


def rows(path: Path) -> Iterator[Sample]:
    """The rows of a .jsonl, .csv or .tsv file as objects, also compressed with .gz or .xz.

    Raises `UserError` naming the file, or the file and line, that cannot be read.
    """
    kind = path.with_suffix("").suffix if path.suffix in OPENERS else path.suffix
    try:
        with open_text(path) as lines:
            if kind in (".csv", ".tsv"):
                yield from _table_rows(lines, path, "," if kind == ".csv" else "\t")
            else:
                yield from _json_rows(lines, path)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}: check its name.") from None
    except (*UNREADABLE, csv.Error) as error:
        raise UserError(f"The file {path} cannot be read ({error}): it must be whole and in UTF-8.") from None


def _table_rows(lines: IO[str], path: Path, delimiter: str) -> Iterator[Sample]:
    reader = csv.DictReader(lines, delimiter=delimiter)
    for row in reader:
        # A row that is too long has its last cells under None, one that is too short has None in its last ones.
        if None in row or None in row.values():
            cells = "more" if None in row else "fewer"
            raise UserError(
                f"{path}:{reader.line_num} has {cells} cells than the first line: "
                "write each cell that holds a separator between double quotes."
            )
        yield row


def _json_rows(lines: IO[str], path: Path) -> Iterator[Sample]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                place = f"{path}:{number}"
                raise UserError(
                    f"{place} is not JSON ({error.msg}, column {error.colno}): correct or delete the line."
                ) from None
            if not isinstance(row, dict):
                raise UserError(f"{path}:{number} is not a JSON object: a sample is one object a line.")
            yield row
