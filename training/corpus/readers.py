"""From a file to its rows, whatever it is packed in. A row that cannot be read comes as a `Row` with its problem."""

import csv
import gzip
import io
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from serving.errors import UserError
from training.corpus.zstd import ZstdReader

TEXTS = (".txt", ".text", ".md")
TABLES = (".csv", ".tsv")
FORMATS = (*TEXTS, ".jsonl", ".ndjson", ".json", *TABLES, ".parquet")
ARCHIVES = (".zip", ".tar", ".tgz", ".txz")
COMPRESSIONS = (".gz", ".xz", ".zst")
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile, tarfile.ReadError, UnicodeError)
DOCUMENT_CHARACTERS = 8_000
END_OF_TEXT = "<|endoftext|>"
UNDECODED = re.compile("[\udc80-\udcff]")
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Splitting = Literal["length", "blank_line", "line"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: its fields, or (`data` is None) why there are none and what a person can do about it."""

    place: str
    data: dict | None = None
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """An open file: `name` decides how it is read, `label` is what messages call it."""

    label: str
    name: str
    stream: BinaryIO
    encoding: str
    splitting: Splitting

    def row(self, line: int, data: dict) -> Row:
        return Row(f"{self.label}, line {line}", data)

    def bad(self, line: int | None, problem: str, hint: str = "") -> Row:
        return Row(self.label if line is None else f"{self.label}, line {line}", None, problem, hint)


def is_readable(path: Path) -> bool:
    """Whether the name of `path` is one that `read_rows` understands."""
    name = path.name.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name.endswith((*FORMATS, *ARCHIVES)) and not path.name.startswith(".")


def read_rows(path: Path, encoding: str = "utf-8", splitting: Splitting = "length") -> Iterator[Row]:
    """The rows of `path` in order; a text file's rows are `{"text"}`.

    Raises `UserError` when the file is truncated, damaged, of an unknown type or cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            yield from _rows(_File(str(path), path.name.lower(), stream, encoding, splitting))
    except DAMAGE as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise UserError(f"{path} is truncated or damaged ({reason}): copy or download it again.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


def _rows(file: _File) -> Iterator[Row]:
    suffix = PurePosixPath(file.name).suffix
    if suffix in (*COMPRESSIONS, ".tgz", ".txz"):
        yield from _rows(_unpacked(file, suffix))
    elif suffix == ".zip":
        yield from _zip_rows(file)
    elif suffix == ".tar":
        yield from _tar_rows(file)
    elif suffix == ".parquet":
        yield from _parquet_rows(file)
    elif suffix in FORMATS:
        yield from _text_format_rows(file, suffix)
    else:
        raise UserError(
            f"{file.label} is of no type that can be read here ({' '.join((*FORMATS, *ARCHIVES))}, also with "
            f"{' '.join(COMPRESSIONS)}): convert or rename it."
        )


def _unpacked(file: _File, suffix: str) -> _File:
    opener = {"gz": gzip.GzipFile, "xz": lzma.LZMAFile, "st": ZstdReader}[suffix[-2:]]
    stream = opener(fileobj=file.stream) if opener is gzip.GzipFile else opener(file.stream)
    name = file.name.removesuffix(suffix) + (".tar" if suffix in (".tgz", ".txz") else "")
    return _File(file.label, name, stream, file.encoding, file.splitting)


def _members(file: _File, members: Iterable[tuple[str, BinaryIO]]) -> Iterator[Row]:
    """The rows of an archive's members; those of other types (pictures, licences) are passed over."""
    for name, stream in members:
        if is_readable(Path(name)):
            yield from _rows(_File(f"{file.label}:{name}", name.lower(), stream, file.encoding, file.splitting))


def _zip_rows(file: _File) -> Iterator[Row]:
    seekable = file.stream if file.stream.seekable() else io.BytesIO(file.stream.read())
    with zipfile.ZipFile(seekable) as archive:
        names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
        yield from _members(file, ((name, _opened(file, archive, name)) for name in names))


def _opened(file: _File, archive: zipfile.ZipFile, name: str) -> BinaryIO:
    """Raises `UserError` for a member that is encrypted, or packed in a way that Python does not know."""
    try:
        return archive.open(name)
    except RuntimeError as error:
        raise UserError(
            f"{file.label} cannot be unpacked here ({str(error).rstrip('.')}): unpack it, and name the folder."
        ) from None


def _tar_rows(file: _File) -> Iterator[Row]:
    with tarfile.open(fileobj=file.stream, mode="r|") as archive:
        files = (member for member in archive if member.isfile())
        yield from _members(file, ((member.name, io.BytesIO(archive.extractfile(member).read())) for member in files))


def _parquet_rows(file: _File) -> Iterator[Row]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    seekable = file.stream if isinstance(file.stream, io.BufferedReader) else io.BytesIO(file.stream.read())
    try:
        batches = ParquetFile(seekable).iter_batches(batch_size=256)
        rows = (data for batch in batches for data in batch.to_pylist())
        for number, data in enumerate(rows, 1):
            yield Row(f"{file.label}, row {number}", data)
    except ArrowException as error:
        raise EOFError(str(error)) from None


def _text_format_rows(file: _File, suffix: str) -> Iterator[Row]:
    stream = io.BufferedReader(file.stream)
    head = stream.peek(8192)
    if not head:
        yield file.bad(None, "empty file", "remove it from the source")
    elif head.startswith(UTF16_MARKS) and file.encoding == "utf-8":
        yield file.bad(None, "not UTF-8", "it looks like UTF-16: set `encoding: utf-16`")
    elif b"\0" in head and not file.encoding.startswith("utf-16"):
        yield file.bad(None, "binary file", "remove it from the source")
    else:
        codec = "utf-8-sig" if file.encoding == "utf-8" else file.encoding
        lines = io.TextIOWrapper(stream, encoding=codec, errors="surrogateescape")
        read = _plain_rows if suffix in TEXTS else _table_rows if suffix in TABLES else _json_rows
        yield from read(file, lines)


def _not_decoded(file: _File, number: int) -> Row:
    return file.bad(
        number, f"not {file.encoding.upper()}", "convert the file, or set `encoding: cp1252` or whatever it is"
    )


def _plain_rows(file: _File, lines: Iterable[str]) -> Iterator[Row]:
    """Documents of a text file: pieces of `DOCUMENT_CHARACTERS` or more, ending at a blank line, or as told.

    A line that is `<|endoftext|>` always ends a document, as in the text files that many data sets are published in.
    """
    document: list[str] = []
    start, size = 1, 0
    for number, line in enumerate(lines, 1):
        if UNDECODED.search(line):
            yield _not_decoded(file, number)
            continue
        mark = line.strip() == END_OF_TEXT
        if not mark:
            document.append(line)
            size += len(line)
        if size and (mark or _ends_here(file.splitting, line, size)):
            yield from _document(file, start, document)
            document, start, size = [], number + 1, 0
    yield from _document(file, start, document)


def _ends_here(splitting: Splitting, line: str, size: int) -> bool:
    blank = not line.strip()
    if splitting == "length":
        return size >= DOCUMENT_CHARACTERS and (blank or size >= 4 * DOCUMENT_CHARACTERS)
    return splitting == "line" or blank


def _document(file: _File, start: int, lines: list[str]) -> Iterator[Row]:
    text = "".join(lines)
    if text.strip():
        yield file.row(start, {"text": text})


def _json_rows(file: _File, lines: Iterable[str]) -> Iterator[Row]:
    """One object a line; a `.json` file may also be one object, a list of them, or hold such a list as its `data`."""
    if PurePosixPath(file.name).suffix == ".json":
        text = "".join(lines)
        try:
            yield from _json_list(file, json.loads(text))
            return
        except ValueError:
            lines = io.StringIO(text)  # unlike splitlines, it leaves the line separators of Unicode alone
    for number, line in enumerate(lines, 1):
        if UNDECODED.search(line):
            yield _not_decoded(file, number)
        elif line.strip():
            yield _json_row(file, number, line)


def _json_row(file: _File, number: int, line: str) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return file.bad(number, "broken JSON", "mend or delete the line")
    if not isinstance(data, dict):
        return file.bad(number, "no JSON object", 'each line must be an object such as {"text": ...}')
    return file.row(number, data)


def _json_list(file: _File, data: object) -> Iterator[Row]:
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        data = data["data"]
    for number, item in enumerate(data if isinstance(data, list) else [data], 1):
        place = f"{file.label}, entry {number}"
        yield Row(place, item) if isinstance(item, dict) else Row(place, None, "no JSON object")


def _table_rows(file: _File, lines: Iterable[str]) -> Iterator[Row]:
    """Rows of a table whose first line names the columns."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.DictReader(lines, delimiter="\t" if PurePosixPath(file.name).suffix == ".tsv" else ",")
    for data in reader:
        if None in data or None in data.values():
            yield file.bad(
                reader.line_num, "wrong number of columns", "the first line must name as many as each row has"
            )
        elif any(UNDECODED.search(value) for value in data.values()):
            yield _not_decoded(file, reader.line_num)
        else:
            yield file.row(reader.line_num, data)
