"""Saves what people made, in one file: the database, documents, pictures and personal LoRAs, and models if wanted."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from serving.archive import ArchiveError, Entry, Manifest, write_archive
from serving.database import database_url, schema_of, snapshot, utcnow
from serving.home import home
from serving.images.store import NAME
from serving.model_folder import folder_digest
from serving.table_rows import dump_rows

MODEL_NAME = re.compile(r"[\w.-]+")


def backup(file: Path, *, models: bool = False, force: bool = False) -> Manifest:
    """Write a backup of the home and its database, readable by its owner only, as a whole or not at all.

    The server may run meanwhile: the database is saved as it is at the beginning. Raises `ArchiveError`,
    `DatabaseError`.
    """
    if not home().is_dir():
        raise ArchiveError(f"There is nothing to save: {home()} does not exist; set HOMEGROWN_HOME to where you serve.")
    if file.exists() and not force:
        raise ArchiveError(f"{file} exists: choose another name, or overwrite it with --force.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as work:
            manifest = _write(Path(work), models)
            os.replace(Path(work) / "archive", file)
    except OSError as error:
        raise ArchiveError(f"The backup cannot be written ({(error.strerror or str(error)).lower()}).") from None
    return manifest


def model_folders() -> list[Path]:
    """The folders of models in the home."""
    folders = (folder for folder in (home() / "models").glob("*") if MODEL_NAME.fullmatch(folder.name))
    return sorted(folder for folder in folders if folder.is_dir() and not folder.name.startswith("."))


def missing_models(manifest: Manifest) -> dict[str, str]:
    """What is wrong with models of a backup that are not here as they were, by name."""
    here = {folder.name: folder_digest(folder) for folder in model_folders()}
    problems = {True: "is another one than in the backup", False: "is not here"}
    return {name: problems[name in here] for name, sha256 in manifest.models.items() if here.get(name) != sha256}


def _write(work: Path, with_models: bool) -> Manifest:
    """Write `archive` into an empty folder."""
    rows = work / "database"
    rows.mkdir()
    with snapshot(database_url()) as connection:
        revision, count = schema_of(connection), dump_rows(connection, rows)
    folders = model_folders()
    sources = {f"database/{table.name}": table for table in sorted(rows.iterdir())}
    for part in ("documents", "images", "loras"):
        sources |= {f"{part}/{name}": path for name, path in _files(home() / part) if _is_kept(part, name)}
    for folder in folders if with_models else ():
        sources |= {f"models/{folder.name}/{name}": path for name, path in _files(folder)}
    manifest = Manifest(
        created=utcnow(),
        schema_revision=revision,
        rows=count,
        models={folder.name: folder_digest(folder) for folder in folders},
        files=[_entry(name, path) for name, path in sources.items()],
    )
    (work / "archive").touch(mode=0o600)
    write_archive(work / "archive", manifest, sources)
    return manifest


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of the files below `folder`; links that lead out of it and hidden files are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and path.resolve().is_relative_to(folder.resolve()):
            yield name, path


def _is_kept(part: str, name: str) -> bool:
    """Whether a file belongs to what people made: the key that signs the URLs of pictures does not."""
    return part != "images" or NAME.fullmatch(name) is not None


def _entry(name: str, path: Path) -> Entry:
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Entry(path=name, bytes=stream.tell(), sha256=digest)
    except ValidationError:
        raise ArchiveError(f"The name of {path} cannot be kept in a backup: rename it.") from None
