"""Finding the files that a source's name means."""

import hashlib
import os
import re
from pathlib import Path

from serving.errors import UserError
from training.corpus.readers import is_readable

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def locate(name: str) -> list[Path]:
    """The files that `name` means, in order: a file, a folder or a glob, here or under HOMEGROWN_DATA.

    An empty list says that it is a Hugging Face id. Raises `UserError` when it is neither.
    """
    data = os.environ.get("HOMEGROWN_DATA")
    if data and not Path(data).is_dir():
        raise UserError(f"HOMEGROWN_DATA names {data}, which is no folder: correct or unset it.")
    bases = [Path.cwd(), *([Path(data)] if data else [])]
    for base in bases:
        if files := _matches(base, os.path.expanduser(name)):
            return files
    first = Path(name).parts[0]
    if HUB_ID.fullmatch(name) and not is_readable(Path(name)) and not any((base / first).exists() for base in bases):
        return []
    looked = f"in {bases[0]}" + (f" or in {data} (HOMEGROWN_DATA)" if data else ", and HOMEGROWN_DATA is not set")
    raise UserError(f"The source {name} is not there: looked {looked}; correct its name or set HOMEGROWN_DATA.")


def _matches(base: Path, name: str) -> list[Path]:
    path = base / name
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and is_readable(file))
        if not files:
            raise UserError(
                f"The folder {path} holds no data file (txt, jsonl, json, csv, parquet or archives of them)."
            )
        return files
    pattern = Path(name)
    if not any(mark in name for mark in "*?["):
        return []
    root = Path(pattern.anchor) if pattern.is_absolute() else base
    try:
        found = sorted(root.glob(str(pattern.relative_to(pattern.anchor))))
    except ValueError as error:
        raise UserError(f"The source {name} is no pattern for file names: {error}.") from None
    return [file for file in found if file.is_file() and is_readable(file)]


def digest_of(files: list[Path]) -> str:
    """The sha256 of a file, or of the list that `sha256sum` makes of several."""
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    listing = "".join(f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()
