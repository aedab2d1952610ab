"""Headline figures of several systems: each pair of systems compared in pairs of answers, all tests as one family.

So the chance that even one mark in the whole table is a false alarm is at most 5 %, and two systems are told apart here
exactly where `compare` tells two runs apart.
"""

import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import isfinite

from eval.compare import Change, change_between, decided
from eval.figures import Figure
from eval.result import Result
from eval.statistics import CONFIDENCE, Estimate, infer
from serving.errors import UserError

MOST = len(string.ascii_uppercase)
SHOWN = 3
"""Of the reasons why nothing can be compared."""


@dataclass(frozen=True)
class System:
    """One column."""

    letter: str
    name: str
    result: Result


@dataclass(frozen=True)
class Pair:
    """Two systems in one figure; the later one is what the `change` calls run B."""

    first: System
    second: System
    change: Change
    tests: int
    """How many differences the table looks at."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of second - first, such that the intervals of all pairs and figures hold together (Bonferroni)."""
        found = self.change.difference
        if found is None:
            return None
        low, high = (found.limit(end) for end in _ends(self.tests))
        return (low, high) if isfinite(low + high) and low < high else None

    @property
    def told_apart(self) -> bool:
        return self.change.outcome in ("better", "worse", "changed")

    @property
    def better(self) -> System | None:
        """The better one of the two, if they are told apart in a figure that has a good end."""
        return {"better": self.second, "worse": self.first}.get(self.change.outcome)

    def other_than(self, system: System) -> System:
        return self.first if self.second is system else self.second


@dataclass(frozen=True)
class Cell:
    """One figure of one system."""

    letter: str
    figure: Figure | None
    estimate: Estimate | None
    """With limits that hold together for all systems of the line (Bonferroni)."""
    why_not: str
    better_than: str
    """The letters of the systems that are surely worse."""
    differs_from: str
    """The letters of those that are surely different, in a figure without a good end."""
    is_apart: bool
    """Whether it was measured and could not be compared with any other system, which others could."""


@dataclass(frozen=True)
class Line:
    """One headline figure of all systems."""

    figure: Figure
    """Of the first system that has it."""
    section: str
    cells: Sequence[Cell]
    pairs: Sequence[Pair]

    @property
    def key(self) -> str:
        return self.figure.key

    @property
    def title(self) -> str:
        return f"{self.section} · {self.figure.label.strip()}"

    @property
    def undecided(self) -> list[Pair]:
        """The pairs that were compared and not told apart."""
        return [pair for pair in self.pairs if pair.change.outcome == "none"]

    @property
    def unseen(self) -> float | None:
        """How large a difference could have gone unseen between those; None: not known."""
        sizes = [pair.change.difference.mde for pair in self.undecided]
        return max(sizes) if sizes and None not in sizes else None

    def is_beaten(self, system: System) -> bool:
        """Whether another system is surely better."""
        return any(system.letter in cell.better_than for cell in self.cells)


@dataclass(frozen=True)
class SideBySide:
    """The whole table."""

    systems: Sequence[System]
    lines: Sequence[Line]

    @cached_property
    def tests(self) -> int:
        """How many differences were looked at."""
        return sum(pair.change.difference is not None for line in self.lines for pair in line.pairs)


def side_by_side(results: Sequence[Result], across_prompts: bool = False) -> SideBySide:
    """The runs in the order of `results`, by the headline figures of all of their suites.

    Raises `UserError` for more runs than there are letters, for a run that is named twice, and where nothing of one run
    can be compared with any other.
    """
    systems = lettered(results)
    keys = dict.fromkeys(key for result in results for key in _headlines(result))
    both = [(first, second, key) for key in keys for first, second in combinations(systems, 2)]
    changes = decided([_change(*entry, across_prompts) for entry in both])
    tests = sum(change.difference is not None for change in changes)
    if not tests:
        reasons = list(dict.fromkeys(change.why for change in changes))[:SHOWN] or ["none has a headline figure"]
        raise UserError(
            f"These runs cannot be compared ({'; '.join(reasons)}): ask all of them the same with --models."
        )
    pairs = [Pair(a, b, change, tests) for (a, b, _), change in zip(both, changes, strict=True)]
    lines = [_line(key, systems, [pair for pair in pairs if pair.change.key == key]) for key in keys]
    return SideBySide(systems, lines)


def _change(first: System, second: System, key: str, across_prompts: bool) -> Change:
    change = change_between(first.result, second.result, _asked(key, second, first), across_prompts)
    letters = {"A": first.letter, "B": second.letter}
    why = re.sub(r"\b(in|of) ([AB])\b", lambda found: f"{found[1]} {letters[found[2]]}", change.why)
    return replace(change, why=why)


def lettered(results: Sequence[Result]) -> list[System]:
    """The runs with a letter each, and a name: as --models called it, or the model; the folder where two have the same.

    Raises `UserError` for more runs than there are letters, and for a run that is named twice.
    """
    if len(results) > MOST:
        raise UserError(f"{len(results)} runs are too many for one table: name at most {MOST}.")
    folders = [result.folder.resolve() for result in results]
    if twice := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise UserError(f"The run {twice} is named twice: name each run once.")
    called = [r.identity.get("called") or r.identity["model"].rstrip("/").split("/")[-1] for r in results]
    names = [
        name if called.count(name) == 1 else result.folder.name for name, result in zip(called, results, strict=True)
    ]
    return [System(*entry) for entry in zip(string.ascii_uppercase, names, results, strict=False)]


def _headlines(result: Result) -> Iterable[str]:
    named = [key for key in result.suite.headlines if key in result.figures]
    return named or [section.figures[0].key for section in result.sections]


def _asked(key: str, *systems: System) -> Change:
    """The figure as the first of the systems has it that does; where none does, as an unmeasured one."""
    for system in systems:
        for section in system.result.sections:
            for figure in section.figures:
                if figure.key == key:
                    return Change(figure, section.title, True)
    return Change(Figure(key, key, "share", []), key.split(".")[0], True)


def _line(key: str, systems: Sequence[System], pairs: Sequence[Pair]) -> Line:
    known = _asked(key, *systems)
    return Line(known.figure, known.section, [_cell(key, system, systems, pairs) for system in systems], pairs)


def _cell(key: str, system: System, systems: Sequence[System], pairs: Sequence[Pair]) -> Cell:
    figure = system.result.figures.get(key)
    own = [pair for pair in pairs if system is pair.first or system is pair.second]
    told = [pair for pair in own if pair.told_apart]
    estimate = together(figure, len(systems)) if figure else None
    compared, any_compared = (any(pair.change.difference for pair in some) for some in (own, pairs))
    return Cell(
        system.letter,
        figure,
        estimate,
        "" if estimate else _why_not(figure),
        "".join(pair.other_than(system).letter for pair in told if pair.better is system),
        "".join(pair.other_than(system).letter for pair in told if pair.better is None),
        is_apart=estimate is not None and any_compared and not compared,
    )


def together(figure: Figure, systems: int) -> Estimate | None:
    """The estimate with an interval that holds for all of so many systems at once (Bonferroni), if there is one."""
    if figure.estimate is None:
        return None
    found = infer(figure.statistic, figure.observations)
    low, high = (found.limit(end) for end in _ends(systems))
    return Estimate(found.value, low, high, figure.n) if isfinite(low + high) else None


def _why_not(figure: Figure | None) -> str:
    if figure is None:
        return "not asked"
    return figure.why_not or "too few answers for intervals of so many systems at once"


def _ends(family: int) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2 / family
    return tail, 1 - tail
