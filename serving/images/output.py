"""The picture files that a command writes: which ones, and all of them whole or none."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from serving.errors import UserError
from serving.images.files import SUFFIXES

MAX_NAME = 60


def format_of(output: Path) -> str:
    """png, jpeg or webp. Raises `UserError` for any other suffix."""
    if output.suffix.lower() not in SUFFIXES:
        raise UserError(f"Pictures are written as {', '.join(SUFFIXES)}, not as {output.name}: choose a name with -o.")
    return SUFFIXES[output.suffix.lower()]


def named_after(prompt: str) -> Path:
    """The file, here, for a picture of `prompt` when no other is named."""
    words = re.findall(r"\w+", prompt.lower())
    return Path(("-".join(words)[:MAX_NAME].rstrip("-") or "picture") + ".png")


def target_files(output: Path, count: int, overwrite: bool) -> list[Path]:
    """The files for `count` pictures: `output` itself, or numbered ones beside it.

    Raises `UserError` when their folder is missing, or they are there and must not be overwritten.
    """
    if not output.parent.is_dir():
        raise UserError(f"The folder {output.parent} does not exist: create it, or choose another with -o.")
    files = [output] if count == 1 else [output.with_stem(f"{output.stem}-{i}") for i in range(1, count + 1)]
    there = [file for file in files if file.exists()]
    if there and not overwrite:
        raise UserError(f"The file {there[0]} exists: choose another with -o, or overwrite it with --force.")
    return files


def write_files(files: Sequence[Path], pictures: Sequence[bytes]) -> None:
    """Write each picture to its file. Raises `UserError`, and then no picture is there that was not before."""
    unfinished = [file.with_name(f".{file.name}.{os.getpid()}") for file in files]
    try:
        for part, picture in zip(unfinished, pictures, strict=True):
            part.write_bytes(picture)
        for part, file in zip(unfinished, files, strict=True):
            part.replace(file)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"The picture cannot be written to {files[0]} ({reason}): choose another with -o.") from None
    finally:
        for part in unfinished:
            part.unlink(missing_ok=True)
