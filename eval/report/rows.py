"""Figures in the order of a page: rows in blocks, blocks in chapters of one task, chapters in areas of one question."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from eval.compare import Change, Outcome
from eval.figures import Figure
from eval.meaning import Meaning
from eval.report.methods import meaning_of
from eval.report.picture import Picture
from eval.report.plots import Axis, Tone, interval, scale_of
from eval.report.rewording import Rewording
from eval.requests import digest

BY_WEIGHT: tuple[Tone, ...] = ("worse", "better", "changed", "none", "unmeasurable", "incomparable")


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
    pictures: Sequence[Picture]
    headlines: Collection[str] = ()
    conclusion: str = ""
    """What its records come to: sentences, the first of them the answer; before them may stand a table."""

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
        return sum(row.tone == outcome for row in self.rows)

    @property
    def anchor(self) -> str:
        return anchor("task", self.key)

    @property
    def rows(self) -> list[Row]:
        return [row for block in self.blocks for row in block.rows]


@dataclass(frozen=True)
class Area:
    """The chapters about one question, and the figures that say most of it."""

    name: str
    chapters: Sequence[Chapter]
    headlines: Sequence[Row]
    """The most decisive one first."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Keys of headline figures that the run does not have at all -> why."""

    @property
    def anchor(self) -> str:
        return anchor("area", self.name)

    @property
    def rows(self) -> list[Row]:
        return [row for chapter in self.chapters for row in chapter.rows]

    @property
    def leading(self) -> Row:
        """The most decisive figure that was measured."""
        return next((row for row in self.headlines if row.figure.estimate), self.headlines[0])

    @property
    def beside(self) -> list[Row]:
        """The other headline figures that were measured, those that got worse first."""
        others = [row for row in self.headlines if row is not self.leading and row.figure.estimate]
        return sorted(others, key=lambda row: row.tone != "worse")

    @property
    def conclusions(self) -> list[str]:
        """The answer of each chapter that has one, without what it rests on."""
        return [c.conclusion.split("\n\n")[-1].splitlines()[0] for c in self.chapters if c.conclusion]

    @property
    def lost(self) -> list[tuple[str, str]]:
        """(headline, why it could not be measured)."""
        unmeasured = [(row.title, row.figure.why_not) for row in self.headlines if row.figure.estimate is None]
        return [*unmeasured, *self.missing.items()]

    @property
    def tone(self) -> Tone:
        """Worse where one headline figure is, whatever the others are."""
        tones = {row.tone for row in self.headlines if row.figure.estimate}
        return next((tone for tone in BY_WEIGHT if tone in tones), "plain")

    @property
    def status(self) -> str:
        """One word for style: a tone, or that nothing was measured."""
        return self.tone if self.leading.figure.estimate else "unknown"

    def with_outcome(self, outcome: Outcome) -> int:
        """How many of its figures came out so against the baseline."""
        return sum(row.tone == outcome for row in self.rows)

    @property
    def unmeasured(self) -> int:
        return sum(row.figure.estimate is None for row in self.rows)


def anchor(kind: str, name: str) -> str:
    """An id within the page, the same for the same name."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    return f"{kind}-{words}-{digest(name)[:6]}"
