"""Whether a new model may take the place of the served one: both are asked the same, and a gate decides."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from eval.gate import EXIT_CODES, Judged, Verdict, judge, outcome, read_rules, render
from eval.measure import Measurement, measure
from eval.result import Result
from serving.errors import UserError


class Exam(BaseModel):
    """What both models are asked, and by which rules (the text of the gate's file) that is judged."""

    model_config = ConfigDict(frozen=True)

    suites: list[str]
    limit: int | None = None
    rules: str

    @property
    def name(self) -> str:
        """Of the folder with the answers, which other rules judge as well."""
        return hashlib.sha256(f"{self.suites} {self.limit}".encode()).hexdigest()[:12]


class Refused(UserError):
    """A model that the gate does not let pass; the exit code is the gate's."""

    def __init__(self, verdict: Verdict, entries: Sequence[Judged], new: str, old: str) -> None:
        failed = "; ".join(entry.rule for entry in entries if entry.verdict == verdict)
        super().__init__(f"{new} is not promoted ({verdict}: {failed}), and {old} goes on serving.")
        self.exit_code = EXIT_CODES[verdict]


def judged(exam: Exam, new: Path, served: Path, questions: str, folder: Path) -> tuple[Verdict, list[Judged]]:
    """The gate's verdict on the model in `new`, and what became of each rule, which is printed too.

    `questions`: whose exam is asked. The answers and the rules as they are now are kept in `folder`: interrupted, it
    goes on with the answers that are there.
    """
    file = folder / "gate.yaml"
    file.write_text(exam.rules, encoding="utf-8")
    asked = folder / "asked" / exam.name
    baseline = _asked(served, asked / "served", exam, questions)
    entries = judge(read_rules(file), _asked(new, asked / "new", exam, questions), baseline)
    print(render(entries), flush=True)
    return outcome(entries), entries


def _asked(model: Path, out: Path, exam: Exam, questions: str) -> Result:
    print(f"improve  asking {model.name}: {', '.join(exam.suites)}", flush=True)
    return measure(Measurement(str(model), exam.suites, exam=questions, out=out, limit=exam.limit))
