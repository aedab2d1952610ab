"""The file of a backup: a gzipped tar that begins with a manifest of what follows.

Any `tar` unpacks it. Reading it here trusts nothing: only plain files are taken, those of the manifest in its order,
each with its size and SHA-256, to paths that were checked, and no more than the disk holds.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from serving.errors import UserError

PARTS = ("database", "documents", "images", "loras", "models")
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**28
# Rows compress well, but not like a file that was made to fill a disk.
MAX_RATIO, SMALL_BYTES = 200, 2**26
CHUNK = 2**20


class ArchiveError(UserError):
    """A file that is no backup, or a damaged one."""


def _checked_path(path: str) -> str:
    """A relative path below one of the `PARTS`, as it is written in archives."""
    parts = path.split("/")
    if parts[0] not in PARTS or len(parts) < 2 or any(part in ("", ".", "..") for part in parts):
        raise ValueError("the path leads elsewhere")
    if not path.isprintable() or "\\" in path or any(len(part.encode()) > 255 for part in parts):
        raise ValueError("no file has such a name")
    return path


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ModelName = Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=255)]


class Entry(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    path: Annotated[str, AfterValidator(_checked_path)]
    bytes: int = Field(ge=0)
    sha256: Sha256


class Manifest(BaseModel):
    """What a backup holds. `models` are the digests of the folders that were there, whether they are in it or not."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    created: datetime
    schema_revision: str | None
    rows: int
    models: dict[ModelName, Sha256]
    files: list[Entry]

    @property
    def size(self) -> int:
        """Bytes of all files when they are unpacked."""
        return sum(entry.bytes for entry in self.files)

    @property
    def kept_files(self) -> int:
        """How many files are in it besides the rows."""
        return sum(not entry.path.startswith("database/") for entry in self.files)


def write_archive(file: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write the manifest and its files, of which `sources` says where they lie. Raises `ArchiveError`, `OSError`."""
    with file.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6) as stream:
        content = manifest.model_dump_json(indent=1).encode()
        if len(content) > MAX_MANIFEST_BYTES:
            raise ArchiveError("There are too many files for one backup: copy the folders of the home instead.")
        stream.write(_header(MANIFEST, len(content)) + content + _padding(len(content)))
        for entry in manifest.files:
            stream.write(_header(entry.path, entry.bytes))
            _write_unchanged(sources[entry.path], stream, entry)
            stream.write(_padding(entry.bytes))
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
    _check_ratio(manifest, file)
    with file.open("rb") as written:
        os.fsync(written.fileno())


def read_archive(file: Path, folder: Path) -> Manifest:
    """Unpack the files into `folder`, which is empty. Raises `ArchiveError`, and then something may lie there."""
    with _opened(file) as stream:
        manifest = _read_manifest(stream)
        _check_ratio(manifest, file)
        _check_disk(manifest, folder)
        for entry in manifest.files:
            if _next_size(stream) != entry.bytes:
                raise ArchiveError(f"The backup {file} is damaged: {entry.path} is not what its manifest says.")
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb", opener=_for_owner_only) as sink:
                if _copy(stream, sink, entry.bytes) != entry.sha256:
                    raise ArchiveError(f"The backup {file} is damaged: {entry.path} has another content.")
            stream.read(len(_padding(entry.bytes)))
    return manifest


def _write_unchanged(source: Path, stream: IO[bytes], entry: Entry) -> None:
    try:
        with source.open("rb") as content:
            if _copy(content, stream, entry.bytes) == entry.sha256 and not content.read(1):
                return
    except (FileNotFoundError, EOFError):
        pass
    raise ArchiveError(f"{source} changed while it was saved: try again.")


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if not file.is_file():
        raise ArchiveError(f"There is no backup {file}: check the path.")
    try:
        with gzip.open(file) as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.HeaderError):
        raise ArchiveError(
            f"{file} is no backup, or it was cut short: use one that `homegrown backup` wrote."
        ) from None


def _read_manifest(stream: IO[bytes]) -> Manifest:
    size = _next_size(stream)
    if size > MAX_MANIFEST_BYTES:
        raise ArchiveError("This is no backup: what should be its manifest is too large.")
    try:
        manifest = Manifest.model_validate_json(stream.read(size))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its JSON"
        raise ArchiveError(
            f"This is no backup that can be read here: its manifest is wrong at {where} ({first['msg'][:100]})."
        ) from None
    stream.read(len(_padding(size)))
    paths = [entry.path for entry in manifest.files]
    if len({*paths}) < len(paths) or {*paths} & {str(parent) for path in paths for parent in Path(path).parents}:
        raise ArchiveError("This is no backup that can be read here: its manifest names a file twice.")
    return manifest


def _check_ratio(manifest: Manifest, file: Path) -> None:
    if manifest.size > max(SMALL_BYTES, MAX_RATIO * file.stat().st_size):
        raise ArchiveError(
            f"The backup {file} unpacks to {manifest.size:,} bytes, more than {MAX_RATIO} times its size: "
            "files like that only fill disks."
        )


def _check_disk(manifest: Manifest, folder: Path) -> None:
    if manifest.size > shutil.disk_usage(folder).free:
        raise ArchiveError(f"{manifest.size:,} bytes do not fit onto the disk of {folder}: make room.")


def _next_size(stream: IO[bytes]) -> int:
    """The size of the plain file that comes next."""
    info = tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    # Links, devices and the extensions of tar, which may have any size, are never written.
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise ArchiveError("This is no backup: it holds something else than plain files.")
    return info.size


def _header(path: str, size: int) -> bytes:
    """One block. The few paths that do not fit are told by the manifest only."""
    fits = len(path.encode()) <= tarfile.LENGTH_NAME
    info = tarfile.TarInfo(path if fits else hashlib.sha256(path.encode()).hexdigest())
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _for_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy(source: IO[bytes], sink: IO[bytes], size: int) -> str:
    """Copy `size` bytes; their SHA-256. Raises `EOFError` when there are fewer."""
    digest = hashlib.sha256()
    while size:
        chunk = source.read(min(CHUNK, size))
        if not chunk:
            raise EOFError
        digest.update(chunk)
        sink.write(chunk)
        size -= len(chunk)
    return digest.hexdigest()
