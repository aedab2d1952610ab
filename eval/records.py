"""Kept of a run: one JSON line per question, appended as answers land; enough to score again without a model."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from eval.target import Answer
from serving.errors import UserError


@dataclass(frozen=True)
class Record:
    """A question, what was sent (`request` is a hash), and what came back: an answer with its scores, or an error."""

    id: str
    request: str
    question: dict
    status: Literal["ok", "error"]
    error: str | None = None
    answer: Answer | None = None
    scores: dict[str, Any] = field(default_factory=dict)


def digest(value: Any) -> str:
    """sha256 of `value` as canonical JSON: the same for equal values whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RecordFile:
    """`records.jsonl` of a run, opened for appending. A line that a crash cut short is dropped when it is opened."""

    def __init__(self, path: Path):
        self.path = path
        _drop_cut_line(path)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        """Write one record; it survives a crash of this process from here on."""
        self._file.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """All records in the order in which they landed; a question that was asked again has more than one.

    A last line that a crash cut short is left out. Raises `UserError` naming the first line that is no record.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n"):
                return
            try:
                fields = json.loads(line)
                answer = Answer(**fields["answer"]) if fields["answer"] else None
                yield Record(**fields | {"answer": answer})
            except (ValueError, TypeError, KeyError):
                raise UserError(
                    f"{path}:{number} is not a record of a run: delete that line to ask it again."
                ) from None


def _drop_cut_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
