"""Kept of a run: one JSON line per request, appended as replies land; enough to score again without a model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

from eval.replies import Reply, reply_as_json, reply_from_json
from serving.errors import UserError


@dataclass(frozen=True)
class Record:
    """What was sent (`request` is a hash), and what came back: a reply with its scores, or an error."""

    task: str
    id: str
    """Of the sample."""
    variant: str
    repeat: int
    cluster: str
    request: str
    sample: dict
    """As it was asked, in this variant."""
    status: Literal["ok", "error"]
    error: str | None = None
    reply: Reply | None = None
    scores: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.task, self.id, self.variant, self.repeat


class RecordFile:
    """`records.jsonl` of a run, opened for appending. A line that a crash cut short is dropped when it is opened."""

    def __init__(self, path: Path):
        self.path = path
        _drop_cut_line(path)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def append(self, record: Record) -> None:
        """Write one record; it survives a crash of this process from here on."""
        fields = vars(record) | {"reply": reply_as_json(record.reply) if record.reply else None}
        self._file.write(json.dumps(fields, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """All records in the order in which they landed; a request that was sent again has more than one.

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
                reply = reply_from_json(fields["reply"]) if fields["reply"] else None
                yield Record(**fields | {"reply": reply})
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
