"""What the report shows, whatever its format: built from the records of a run, and of a baseline if there is one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from eval.compare import Change, Outcome
from eval.figures import Figure, Section
from eval.meaning import Meaning
from eval.report.areas import area_of, askable, headlines_of, in_order
from eval.report.gallery import pictures_of
from eval.report.methods import STATISTICS
from eval.report.picture import Findings, Picture
from eval.report.pictures import latency_picture
from eval.report.plots import axis_of
from eval.report.rewording import rewordings
from eval.report.rows import Area, Block, Chapter, Row, anchor
from eval.report.words import counted, enumerated
from eval.result import Result
from eval.task import Task


@dataclass(frozen=True)
class Page:
    """The whole report."""

    result: Result
    baseline: Result | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)
    samples: int | None = None
    """How many requests of each task can be read on the page; None: all."""

    @cached_property
    def rows(self) -> list[Row]:
        """Every figure, in the suite's order."""
        return [row for chapter in self.chapters for row in chapter.rows]

    @cached_property
    def headlines(self) -> list[Row]:
        """What the suite shows first; where it names nothing, the first figure of every section."""
        by_key = {row.figure.key: row for row in self.rows}
        named = [by_key[key] for key in self.result.suite.headlines if key in by_key]
        return named or [block.rows[0] for chapter in self.chapters for block in chapter.blocks]

    @cached_property
    def areas(self) -> list[Area]:
        """Everything measured, by what it is about; those that a user's own suites are about come first."""
        names = [self._area_of(chapter.key) for chapter in self.chapters]
        grouped = {name: [c for c, own in zip(self.chapters, names, strict=True) if own == name] for name in names}
        missing = {key: (self._area_of(key), why) for key, why in self.missing.items()}
        return [
            Area(
                name,
                grouped[name],
                self._headlines_of(name, grouped[name]),
                {key: why for key, (own, why) in missing.items() if own == name},
            )
            for name in in_order(grouped)
        ]

    def _area_of(self, key: str) -> str:
        return area_of(key.split(".")[0], self.result.suite.names)

    def _headlines_of(self, area: str, chapters: Sequence[Chapter]) -> list[Row]:
        """Those of the run; where it has none about this, what the project's suites about it show first."""
        rows = {row.figure.key: row for chapter in chapters for row in chapter.rows}
        own = [row for row in self.headlines if row.figure.key in rows]
        usual = [rows[key] for key in headlines_of(area) if key in rows]
        return own or usual or [chapters[0].rows[0]]

    @property
    def unasked_areas(self) -> list[str]:
        """What nothing in this run is about."""
        found = {area.name for area in self.areas}
        return [name for name in askable() if name not in found]

    @property
    def gaps(self) -> list[str]:
        """What was not measured, in a few words each."""
        said = [f"{enumerated(self.unasked_areas)} (not asked in this run)"] if self.unasked_areas else []
        said += [f"{enumerated(list(self.skipped))} (no data here)"] if self.skipped else []
        few, lost = len(self.unmeasured), len(self.result.errors)
        said += [f"{counted(few, 'figure')} of too few answers, or of answers that prove nothing"] if few else []
        said += [f"{counted(lost, 'request')} without an answer"] if lost else []
        return [*said, *([f"{counted(self.unasked, 'question')} not asked yet"] if self.unasked > 0 else [])]

    @property
    def missing(self) -> dict[str, str]:
        """Headline figures that this run does not have at all -> why."""
        return {key: self._why_missing(key) for key in self.result.suite.headlines if key not in self.result.figures}

    def _why_missing(self, key: str) -> str:
        task = key.split(".")[0]
        if task in self.skipped:
            return self.skipped[task]
        asked = {record.task for record in self.result.records}
        unasked = task in self.result.identity["tasks"] and task not in asked
        return "none of its questions has been asked yet" if unasked else "no question of this run is about it"

    @cached_property
    def chapters(self) -> list[Chapter]:
        numbers = {key: number for number, key in enumerate(self.result.figures)}
        tasks = {task.name: task for task in self.result.suite.tasks}
        grouped: dict[str, list[Block]] = {}
        for section in self.result.sections:
            grouped.setdefault(_task_of(section), []).append(self._block(section, numbers))
        return [self._chapter(tasks[name], blocks) for name, blocks in grouped.items()]

    def _chapter(self, task: Task, blocks: Sequence[Block]) -> Chapter:
        records = [record for record in self.result.records if record.task == task.name]
        sections = [section for section in self.result.sections if _task_of(section) == task.name]
        pictures = pictures_of(Findings(task.name, sections, records))
        concluded = self.result.conclusions.get(task.name, "")
        maps, headlines = rewordings(task, records), self.result.suite.headlines
        return Chapter(task.name, task.about, blocks, maps, pictures, headlines, concluded)

    def _block(self, section: Section, numbers: Mapping[str, int]) -> Block:
        known = self.baseline.figures if self.baseline else {}
        axes = {}
        for kind in {_kind(figure) for figure in section.figures}:
            alike = [figure for figure in section.figures if _kind(figure) == kind]
            ghosts = [known[figure.key].estimate for figure in alike if figure.key in known]
            axes[kind] = axis_of(alike, ghosts)
        rows = [
            Row(f, section.title, numbers[f.key], axes[_kind(f)], self.changes.get(f.key), known.get(f.key))
            for f in section.figures
        ]
        return Block(section.title, rows)

    @property
    def latency(self) -> Picture | None:
        return latency_picture(self.result, self.baseline)

    def with_outcome(self, outcome: Outcome) -> list[Row]:
        """The figures that came out so against the baseline, the surest first."""
        return sorted((row for row in self.rows if row.tone == outcome), key=lambda row: row.change.p or 0.0)

    @property
    def gone(self) -> dict[str, list[str]]:
        """Section -> labels of the figures that only the baseline has."""
        sections: dict[str, list[str]] = {}
        for change in (change for key, change in self.changes.items() if key not in self.result.figures):
            sections.setdefault(change.section, []).append(change.figure.label.strip())
        return sections

    @property
    def unmeasured(self) -> list[Row]:
        return [row for row in self.rows if row.figure.estimate is None]

    @property
    def skipped(self) -> dict[str, str]:
        """Task -> why its data were not there."""
        return self.result.identity["skipped"]

    @property
    def unasked(self) -> int:
        """Questions that an interrupted run has not come to."""
        return self.result.unasked

    @cached_property
    def error_kinds(self) -> list[tuple[str, int]]:
        """What went wrong how often, most frequent first; numbers in a message do not make it another one."""
        kinds: dict[str, list[str]] = {}
        for record in self.result.errors:
            kinds.setdefault(re.sub(r"\d+", "#", record.error or ""), []).append(record.error or "no reason given")
        return sorted(((of[0], len(of)) for of in kinds.values()), key=lambda kind: -kind[1])

    @cached_property
    def meanings(self) -> list[tuple[str, Meaning, list[Row]]]:
        """(anchor, meaning, the figures made with it) of every score, each once."""
        used: dict[str, tuple[Meaning, list[Row]]] = {}
        for row in (row for row in self.rows if row.figure.meaning):
            used.setdefault(row.meaning_anchor, (row.meaning, []))[1].append(row)
        return [(anchor, meaning, rows) for anchor, (meaning, rows) in used.items()]

    @property
    def methods(self) -> list[tuple[str, str, Meaning]]:
        """(anchor, name, how observations become a figure) of every statistic in use."""
        used = {figure.statistic for figure in self.result.figures.values()}
        return [(anchor("method", name), name, STATISTICS[name]) for name in STATISTICS if name in used]

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What summary.json tells of how the run came about; empty where the run was not finished."""
        path = self.result.folder / "summary.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _kind(figure: Figure) -> tuple[str, str]:
    """Figures of one kind can share an axis: all shares, all times, and such numbers as are made in the same way."""
    return figure.unit, figure.statistic if figure.unit == "number" else ""


def _task_of(section: Section) -> str:
    return section.figures[0].key.split(".")[0]
