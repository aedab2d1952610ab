"""Kept of a run: one JSON line per request, appended as replies land; enough to score again without a model."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eval.replies import Reply, reply_as_json, reply_from_json
from serving.errors import UserError

PICTURES = "pictures"
"""The folder beside the records that keeps the pictures which came."""


@dataclass(frozen=True)
class Record:
    """What was sent (`request` is a hash), and what came back: a reply with its scores, or an error.

    A record with a reply and an error has a reply that a score failed on, and need not be asked again unless the
    reply is `useless`.
    """

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
    useless: bool = False
    """Whether the reply is not one that can be scored, such as a judge's without a verdict."""

    @property
    def asked_again(self) -> bool:
        """Whether a run that is resumed sends the request again."""
        return self.reply is None or self.useless

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.task, self.id, self.variant, self.repeat


class RecordFile:
    """`records.jsonl` of a run, opened for appending by one process at a time.

    A line that a crash cut short is dropped when it is opened. Raises `UserError` when the file cannot be written,
    or another process has it open.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _drop_cut_line(path)
        except BlockingIOError:
            raise UserError(
                f"Another process is writing {path}: wait until it is done, or name another folder with --out."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None

    def append(self, record: Record) -> None:
        """Write one record; it survives a crash of this process from here on. Raises `UserError` on a full disk."""
        fields = vars(record) | {"reply": reply_as_json(record.reply) if record.reply else None}
        # What a server sends may hold half a surrogate pair, which UTF-8 has no bytes for; as an escape JSON reads it.
        line = _encode(fields).encode("utf-8", "backslashreplace")
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def close(self) -> None:
        # There is something left to write only when `append` has said that it could not.
        with contextlib.suppress(OSError):
            self._file.close()

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"The record of a reply cannot be written to {self.path} ({error}): "
            "make room there, then the same command with --out resumes."
        )


_encode = json.JSONEncoder(ensure_ascii=False).encode


def read_records(path: Path) -> Iterator[Record]:
    """All records in the order in which they landed; a request that was sent again has more than one.

    A last line that a crash cut short is left out. Raises `UserError` naming the first line that is no record.
    """
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                fields = json.loads(line)
                reply = reply_from_json(fields["reply"], path.parent / PICTURES) if fields["reply"] else None
                yield Record(**fields | {"reply": reply})
            except (ValueError, TypeError, KeyError):
                raise UserError(
                    f"{path}:{number} is not a record of a run: delete that line to ask it again."
                ) from None


def _drop_cut_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
