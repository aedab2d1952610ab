"""What the report shows, whatever its format: built from the records of a run, and of a baseline if there is one."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from markupsafe import Markup

from eval.compare import Change, Outcome
from eval.figures import Figure, Section
from eval.meaning import Meaning
from eval.report.methods import STATISTICS, meaning_of
from eval.report.pictures import Picture, calibration_pictures, concurrency_pictures, latency_picture
from eval.report.plots import Axis, Tone, axis_of, interval, scale_of
from eval.report.rewording import Rewording, rewordings
from eval.requests import digest
from eval.result import Result
from eval.task import Task


@dataclass(frozen=True)
class Row:
    """One figure with what belongs beside it."""

    figure: Figure
    section: str
    number: int
    """Its place among the figures of the run; the page's browser knows it by this."""
    axis: Axis
    change: Change | None = None
    before: Figure | None = None

    @property
    def label(self) -> str:
        return self.figure.label.strip()

    @property
    def title(self) -> str:
        """Said where the section's heading is not above it."""
        return f"{self.section} · {self.label}"

    @property
    def is_part(self) -> bool:
        """Whether it is a part of the figure above it."""
        return self.figure.label.startswith(" ")

    @property
    def anchor(self) -> str:
        return anchor("figure", self.figure.key)

    @property
    def meaning(self) -> Meaning:
        return meaning_of(self.figure)

    @property
    def meaning_anchor(self) -> str:
        own = self.figure.meaning
        return anchor("meaning", own.formula) if own else anchor("method", self.figure.statistic)

    @property
    def tone(self) -> Tone:
        return self.change.outcome if self.change else "plain"

    @property
    def status(self) -> str:
        """One word for style: an outcome, or that there is none."""
        return self.tone if self.figure.estimate else "unknown"

    @property
    def plot(self) -> Markup:
        return interval(self.figure.estimate, self.axis, self.before.estimate if self.before else None, self.tone)

    @property
    def scale(self) -> Markup:
        """The numbers of its axis."""
        return scale_of(self.axis) if self.figure.estimate else Markup("")


@dataclass(frozen=True)
class Block:
    """A section of the suite: rows under a heading."""

    title: str
    rows: Sequence[Row]

    @property
    def scale(self) -> Markup:
        """The numbers of the axis, where all rows share one; where not, each row needs its own."""
        axes = {(row.axis.low, row.axis.high) for row in self.rows}
        return scale_of(self.rows[0].axis) if len(axes) == 1 else Markup("")


@dataclass(frozen=True)
class Chapter:
    """The sections of one task."""

    key: str
    about: str
    blocks: Sequence[Block]
    rewordings: Sequence[Rewording]
    headlines: Collection[str] = ()

    @property
    def name(self) -> str:
        return self.key.replace("_", " ").capitalize()

    @property
    def leading(self) -> Sequence[Block]:
        """The tables that hold a headline figure; where none does, the first. The others are one click away."""
        decisive = [block for block in self.blocks if any(row.figure.key in self.headlines for row in block.rows)]
        return decisive or self.blocks[:1]

    @property
    def further(self) -> Sequence[Block]:
        return [block for block in self.blocks if block not in self.leading]

    def with_outcome(self, outcome: Outcome) -> int:
        """How many of its figures came out so against the baseline."""
        return sum(row.tone == outcome for block in self.blocks for row in block.rows)

    @property
    def anchor(self) -> str:
        return anchor("task", self.key)

    @property
    def pictures(self) -> list[Picture]:
        figures = [row.figure for block in self.blocks for row in block.rows]
        titles = {row.figure.key: block.title for block in self.blocks for row in block.rows}
        return [*calibration_pictures(figures), *concurrency_pictures(figures, titles)]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    result: Result
    baseline: Result | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)

    @cached_property
    def rows(self) -> list[Row]:
        """Every figure, in the suite's order."""
        return [row for chapter in self.chapters for block in chapter.blocks for row in block.rows]

    @cached_property
    def headlines(self) -> list[Row]:
        """What the suite shows first; where it names nothing, the first figure of every section."""
        by_key = {row.figure.key: row for row in self.rows}
        named = [by_key[key] for key in self.result.suite.headlines if key in by_key]
        return named or [block.rows[0] for chapter in self.chapters for block in chapter.blocks]

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
            name = section.figures[0].key.split(".")[0]
            grouped.setdefault(name, []).append(self._block(section, numbers))
        return [self._chapter(tasks[name], blocks) for name, blocks in grouped.items()]

    def _chapter(self, task: Task, blocks: Sequence[Block]) -> Chapter:
        records = [record for record in self.result.records if record.task == task.name]
        return Chapter(task.name, task.about, blocks, rewordings(task, records), self.result.suite.headlines)

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


def anchor(kind: str, name: str) -> str:
    """An id within the page, the same for the same name."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{kind}-{words}-{digest(name)[:6]}"
