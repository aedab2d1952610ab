"""Where training text comes from: a recipe names sources, and each becomes one stream of documents.

`{"text": str}` for pretraining and tokenizers, `{"messages": [...], "tools": [...]}` for chat; `tools` (absent when
there are none) holds names of our tools or whole function schemas, `schemas_of` turns either into schemas.
"""

import codecs
import hashlib
import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from prompts.library import tool_schemas
from serving.errors import UserError
from training.corpus.cleaning import Duplicates, fingerprint, normalise
from training.corpus.readers import Row, Splitting, is_readable, read_rows
from training.corpus.shapes import Kind, ShapeError, to_document

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
CONDITION = re.compile(r"\s*(>=|<=|!=|>|<|==?)\s*(.+?)\s*")
SHUFFLE_BUFFER = 10_000
FEWEST_BROKEN = 5


class SourceSpec(BaseModel):
    """One source of a recipe. `name` is `almanac`, `copies`, a file, folder or glob, or a Hugging Face data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    kind: Kind
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    purpose: Literal["training", "tokenizer"] = "training"
    licence: str | None = Field(default=None, description="written into the lineage of the model")
    where: dict[str, Any] = Field(default={}, description='rows to keep: {common: ">= 0.8", split: train}')
    fields: dict[str, str] = Field(default={}, description='our names from theirs: {text: "{title}\\n\\n{story}"}')
    replace: dict[str, str] = Field(default={}, description="strings replaced everywhere in a row")
    passages: str | None = Field(default=None, description="file of the texts that question rows refer to")
    documents: Splitting = Field(default="length", description="where a text file is cut into documents")
    encoding: str = "utf-8"
    limit: int | None = Field(default=None, ge=1, description="documents taken at most, after shuffling")
    min_characters: int = Field(default=1, ge=1)
    max_characters: int | None = Field(default=None, ge=1, description="longer documents are left out")
    duplicates: Literal["keep", "exact", "near"] = Field(default="exact", description="which repetitions are left out")
    broken: float = Field(default=0.01, ge=0, le=1, description="share of rows that may be unusable")
    held_out: float = Field(default=0.01, ge=0, lt=1, description="share of documents kept for validation")
    split: str = Field(default="train", description="of a Hugging Face data set")
    config: str | None = Field(default=None, description="of a Hugging Face data set")
    revision: str | None = Field(default=None, description="of a Hugging Face data set")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"no encoding is called {encoding!r}") from None
        return encoding.lower().replace("utf8", "utf-8")


class SourceReport(BaseModel):
    """What came out of a source so far; filled while it is read.

    `sha256` is over the files' bytes (for one file, what `sha256sum` prints), of streams over the documents handed out.
    """

    name: str
    licence: str = "not stated"
    rows: int = 0
    sha256: str = ""
    skipped: dict[str, int] = {}
    first: dict[str, str] = Field(default={}, description="where each reason for skipping was met first")

    def summary(self) -> str:
        """One line for the log: documents, and what was skipped why and where first."""
        return f"{self.name}: {self.rows:,} documents" + (f"; skipped {self.reasons()}" if self.skipped else "")

    def reasons(self) -> str:
        return "; ".join(f"{count} {reason}, first in {self.first[reason]}" for reason, count in self.skipped.items())


def open_source(spec: SourceSpec, *, seed: int, report: SourceReport, held_out: bool = False) -> Iterator[dict]:
    """The documents of `spec`, in an order that `seed` fixes; files end, `almanac` does not.

    `held_out` picks the share, by hash of the document whatever seed and order, that is otherwise never yielded.
    Raises `UserError` when the source is missing, damaged or empty, or when too much of it is unusable.
    """
    if spec.licence:
        report.licence = spec.licence
    if spec.name == "copies":
        raise ValueError("the trainer makes the source 'copies' itself")
    if spec.name == "almanac":
        return _almanac(spec, seed, report, held_out)
    return _documents(spec, seed, report, held_out)


def schemas_of(document: dict) -> list[dict]:
    """OpenAI function schemas of a chat document's tools."""
    return [tool_schemas((tool,))[0] if isinstance(tool, str) else tool for tool in document.get("tools", ())]


def words_of(document: dict) -> str:
    """All that is said in a document, as one string."""
    if "text" in document:
        return document["text"]
    return "\n".join(m["content"] or json.dumps(m["tool_calls"], sort_keys=True) for m in document["messages"])


def _is_held_out(document: dict, share: float) -> bool:
    return fingerprint(words_of(document)) < share * 2**64


def _almanac(spec: SourceSpec, seed: int, report: SourceReport, held_out: bool) -> Iterator[dict]:
    from training.corpus import almanac

    if spec.purpose == "tokenizer":
        stream = almanac.tokenizer_documents(seed)
    else:
        stream = almanac.text_documents(seed) if spec.kind == "text" else almanac.chat_documents(seed)
    wanted = (document for document in stream if _is_held_out(document, spec.held_out) == held_out)
    return _reported(wanted, spec, report)


def _reported(documents: Iterator[dict], spec: SourceSpec, report: SourceReport) -> Iterator[dict]:
    """`documents` up to the limit, counted, and hashed where the report has no hash of files."""
    digest = None if report.sha256 else hashlib.sha256()
    for document in documents:
        report.rows += 1
        if digest:
            digest.update(json.dumps(document, sort_keys=True).encode())
            report.sha256 = digest.hexdigest()
        yield document
        if report.rows == spec.limit:
            return


def _documents(spec: SourceSpec, seed: int, report: SourceReport, held_out: bool) -> Iterator[dict]:
    rng = random.Random(seed)
    files = locate(spec.name)
    rows = _file_rows(spec, files, rng) if files else hub_rows(spec, report)
    if files:
        report.sha256 = _files_digest(files)
    cleaned = _cleaned(rows, spec, report)
    wanted = (document for document in cleaned if _is_held_out(document, spec.held_out) == held_out)
    yield from _reported(_shuffled(wanted, rng), spec, report)
    if not report.rows and not held_out:
        raise UserError(_nothing(spec, report))


def _nothing(spec: SourceSpec, report: SourceReport) -> str:
    if not report.skipped:
        return f"The source {spec.name} has no document for training: give it more text, or set its `held_out: 0`."
    return f"The source {spec.name} has no usable document ({report.reasons()}): check it and its options."


# Finding it


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
    return sorted(file for file in root.glob(str(pattern.relative_to(pattern.anchor))) if file.is_file())


def _files_digest(files: list[Path]) -> str:
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    listing = "".join(f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


# Reading it


def _file_rows(spec: SourceSpec, files: list[Path], rng: random.Random) -> Iterator[Row]:
    for file in rng.sample(files, len(files)):
        yield from read_rows(file, spec.encoding, spec.documents)


def hub_rows(spec: SourceSpec, report: SourceReport) -> Iterator[Row]:
    """The rows of a Hugging Face data set, streamed: nothing is kept on the disk."""
    import datasets

    try:
        stream = datasets.load_dataset(spec.name, spec.config, split=spec.split, revision=spec.revision, streaming=True)
        report.licence = spec.licence or stream.info.license or report.licence
        for number, data in enumerate(stream, 1):
            yield Row(f"{spec.name}, row {number}", data)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"The data set {spec.name} cannot be read from the Hugging Face hub ({reason}): check its name, `split` "
            "and `config`, or put a copy into the folder that HOMEGROWN_DATA names."
        ) from None


def _shuffled(documents: Iterator[dict], rng: random.Random) -> Iterator[dict]:
    """`documents` in random order within a window, in bounded memory."""
    buffer: list[dict] = []
    for document in documents:
        if len(buffer) < SHUFFLE_BUFFER:
            buffer.append(document)
            continue
        place = rng.randrange(SHUFFLE_BUFFER)
        buffer[place], document = document, buffer[place]
        yield document
    rng.shuffle(buffer)
    yield from buffer


# Choosing and cleaning


class _Skips:
    """Counts what is left out, and gives up when too much of it is broken."""

    def __init__(self, spec: SourceSpec, report: SourceReport) -> None:
        self.spec, self.report = spec, report
        self.seen = self.broken = 0

    def leave_out(self, reason: str, place: str) -> None:
        self.report.skipped[reason] = self.report.skipped.get(reason, 0) + 1
        self.report.first.setdefault(reason, place)

    def count_broken(self, row: Row, reason: str, hint: str) -> None:
        self.leave_out(reason, row.place)
        self.broken += 1
        allowed = self.spec.broken * self.seen
        if self.broken > max(FEWEST_BROKEN, allowed):
            raise UserError(
                f"{row.place}: {reason}; {self.broken} of the first {self.seen} rows of {self.spec.name} are unusable, "
                f"more than its `broken: {self.spec.broken:g}` allows: {hint or 'mend the file'}, or raise `broken`."
            )


def _cleaned(rows: Iterator[Row], spec: SourceSpec, report: SourceReport) -> Iterator[dict]:
    from training.corpus.passages import Passages

    skips = _Skips(spec, report)
    passages = Passages(locate(spec.passages)) if spec.passages else None
    known = Duplicates(near=spec.duplicates == "near")
    for row in rows:
        skips.seen += 1
        if row.data is None:
            skips.count_broken(row, row.problem, row.hint)
            continue
        try:
            if not all(_holds(row.data, field, wanted) for field, wanted in spec.where.items()):
                skips.leave_out("not chosen by `where`", row.place)
                continue
            data = _replaced(row.data, spec.replace) if spec.replace else row.data
            document = _normalised(to_document(passages.joined(data) if passages else data, spec.kind, spec.fields))
        except ShapeError as error:
            found = ", ".join(map(str, row.data))
            skips.count_broken(row, str(error), f"the row has {found}; name the right ones in `fields`")
            continue
        words = words_of(document)
        if not spec.min_characters <= len(words) <= (spec.max_characters or len(words)):
            skips.leave_out("too short or too long", row.place)
        elif spec.duplicates != "keep" and known.add(words):
            skips.leave_out("duplicate", row.place)
        else:
            yield document


def _holds(data: dict, field: str, wanted: Any) -> bool:
    """Whether a row's field is as a recipe wants it: a value, one of a list, or a comparison such as ">= 0.8"."""
    if field not in data:
        raise ShapeError(f"no field {field!r}")
    value = data[field]
    if isinstance(wanted, list):
        return value in wanted
    match = CONDITION.fullmatch(wanted) if isinstance(wanted, str) else None
    if not match:
        return value == wanted
    sign, bound = match.groups()
    if sign in ("=", "==", "!="):
        return (str(value) == bound) == (sign != "!=")
    try:
        value, limit = float(value), float(bound)
    except (TypeError, ValueError):
        raise ShapeError(f"field {field!r} is no number") from None
    return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[sign]


def _replaced(value: Any, replace: dict[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in replace.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, list):
        return [_replaced(item, replace) for item in value]
    return {key: _replaced(item, replace) for key, item in value.items()} if isinstance(value, dict) else value


def _normalised(document: dict) -> dict:
    if "text" in document:
        document["text"] = normalise(document["text"])
        if not document["text"]:
            raise ShapeError("empty")
        return document
    for message in document["messages"]:
        if message["content"] is not None:
            message["content"] = normalise(message["content"]).strip()
            if not message["content"] and not message.get("tool_calls"):
                raise ShapeError("empty turn")
    return document
