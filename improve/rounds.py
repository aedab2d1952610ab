"""Rounds of improvement: each pins what it learns from and what it must keep, in runs/improve/<number>.

`plan.json` is written first and `outcome.json` last: a round without an outcome was interrupted.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from assistant.feedback_commands import write_rows
from eval.gate import Verdict
from improve.judging import Exam
from serving.errors import UserError
from serving.home import home
from training.checkpoints import write_whole


class Terms(BaseModel):
    """What a round is made from besides feedback: with other terms it is another round."""

    model_config = ConfigDict(frozen=True)

    parent: str
    """Name of the model that is served, and in which state."""
    parent_sha256: str
    recipe: str
    method: str
    overrides: list[str]


class Plan(BaseModel):
    """The terms of a round, and the feedback in its feedback.jsonl: `rows` of them, given until `until`."""

    terms: Terms
    model: str
    """The name of what it makes."""
    rows: int
    feedback_sha256: str
    until: datetime


class Outcome(BaseModel):
    """How a round ended."""

    exam: Exam
    verdict: Verdict
    sha256: str
    """Of the model that it made."""
    promoted: bool = False


class Round:
    """The round in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = int(folder.name)
        self.plan = Plan.model_validate_json((folder / "plan.json").read_bytes())

    @property
    def feedback(self) -> Path:
        return self.folder / "feedback.jsonl"

    @property
    def model(self) -> Path:
        """Where the model is that it makes."""
        return home() / "models" / self.plan.model

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of its training to go on from."""
        return any((self.folder / "training" / name).exists() for name in ("checkpoints", "model", "stamp.json"))

    @property
    def outcome(self) -> Outcome | None:
        file = self.folder / "outcome.json"
        return Outcome.model_validate_json(file.read_bytes()) if file.exists() else None

    @property
    def is_over(self) -> bool:
        """Whether it was refused, or passed and was promoted too."""
        return self.outcome is not None and (self.outcome.verdict != "pass" or self.outcome.promoted)

    def end(self, outcome: Outcome) -> None:
        write_whole(self.folder / "outcome.json", outcome.model_dump_json())


def rounds() -> list[Round]:
    """All of this home, oldest first."""
    found = (Round(file.parent) for file in _folder().glob("*/plan.json"))
    return sorted(found, key=lambda one: one.number)


def learnt_until(sha256: str) -> datetime | None:
    """From when on feedback is new to the model with this digest; None where no round made it."""
    made = [one for one in rounds() if one.outcome and one.outcome.sha256 == sha256]
    return made[-1].plan.until if made else None


def interrupted(terms: Terms) -> Round | None:
    """The last round, if it has the same terms, has begun to learn, and did not come to its end."""
    *_, last = [None, *rounds()]
    return last if last and not last.is_over and last.has_begun and last.plan.terms == terms else None


def same_round(terms: Terms, rows: list[dict]) -> Round | None:
    """The round that learnt from the same rows on the same terms, if there was one."""
    wanted = (terms, _digest(rows))
    return next((one for one in rounds() if one.outcome and (one.plan.terms, one.plan.feedback_sha256) == wanted), None)


def begin(terms: Terms, rows: list[dict], until: datetime, recipe: str) -> Round:
    """Pin a new round. What was interrupted on other terms is given up."""
    for left in rounds():
        if left.outcome is None:
            shutil.rmtree(left.folder)
    number = max((one.number for one in rounds()), default=0) + 1
    while (home() / "models" / (model := f"{recipe}-improved-{number}")).exists():
        number += 1
    folder = _folder() / str(number)
    write_rows(folder / "feedback.jsonl", rows)
    plan = Plan(terms=terms, model=model, rows=len(rows), feedback_sha256=_digest(rows), until=until)
    write_whole(folder / "plan.json", plan.model_dump_json(indent=1))
    return Round(folder)


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of this home's rounds. Raises `UserError` when another process does."""
    _folder().mkdir(parents=True, exist_ok=True)
    with (_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "Another `homegrown improve` runs here, or a chat aligns its model: wait for its end, or end it."
            ) from None
        yield


def now() -> datetime:
    return datetime.now(UTC)


def _digest(rows: list[dict]) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _folder() -> Path:
    return home() / "runs" / "improve"
