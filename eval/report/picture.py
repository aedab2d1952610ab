"""A picture of the report, and what a function that draws some is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from eval.figures import Figure, Section
from eval.records import Record
from eval.systems.side_by_side import System


@dataclass(frozen=True)
class Picture:
    """A drawing with what it shows, in words that stand without it."""

    title: str
    drawing: Markup
    caption: str


@dataclass(frozen=True)
class Findings:
    """What one task of a run found."""

    task: str
    sections: Sequence[Section]
    records: Sequence[Record]

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]

    def title_of(self, figure: Figure) -> str:
        """The heading that the figure stands under."""
        return next(section.title for section in self.sections if figure in section.figures)


Drawer = Callable[[Findings], Sequence[Picture]]
"""Finds by keys, statistics or fields of samples what it can draw; nothing where there is none of it."""
SystemDrawer = Callable[[Sequence[System]], Sequence[Picture]]
"""The same of several systems together."""
