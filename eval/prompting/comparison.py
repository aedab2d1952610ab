"""Techniques against zero-shot, question by question: which is to be used, and how sure that is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import fmean

from eval.differences import Difference, difference, holm
from eval.figures import SMALLEST_N
from eval.prompting.cells import Cell, Table, table_of
from eval.prompting.race import fields
from eval.prompting.technique import REFERENCE
from eval.records import Record
from eval.tasks.almanac import REFUSES_ALL, too_few_beside

ALPHA = 0.05
Adjust = Callable[[Sequence[float]], list[float]]
"""Makes p-values hold for as many techniques as were looked at."""


@dataclass(frozen=True)
class Contrast:
    """One technique against another, on the questions that both were asked."""

    found: Difference
    p: float
    """Adjusted for how many techniques were looked at."""
    low: float
    high: float
    """The ends of an interval so wide that 95 times in 100 all of them hold their truth, that of the best included."""
    tokens: float
    """How many more it needs for a question, in the mean."""

    @property
    def is_better(self) -> bool:
        return self.p < ALPHA and self.found.difference > 0

    @property
    def is_worse(self) -> bool:
        return self.p < ALPHA and self.found.difference < 0


@dataclass(frozen=True)
class Comparison:
    """What the records of one run say about its techniques."""

    table: Table
    sizes: Sequence[int]
    """How many questions each block has; see `eval.prompting.race`."""

    @cached_property
    def decided(self) -> list[list[str]]:
        """For each block the techniques that are asked it, as far as that is decided."""
        return fields(self.table, self.sizes, lambda name, block: bool(self.refuses_all(name, block)))

    @property
    def finalists(self) -> list[str]:
        """Those that are asked the fresh questions, zero-shot first; none as long as the search is on."""
        return self.decided[-1] if len(self.decided) == len(self.sizes) else []

    @property
    def dropped(self) -> dict[str, int]:
        """Technique -> the last block of the search that it was asked."""
        last = {name: block for block, field in enumerate(self.decided) for name in field}
        return {name: block for name, block in last.items() if block < len(self.decided) - 1}

    @property
    def left_out(self) -> int:
        """How many requests will never be sent, because their techniques dropped out."""
        return sum(self.samples(name) * sum(self.sizes[block + 1 :]) for name, block in self.dropped.items())

    @property
    def planned(self) -> int:
        """How many there would be if every technique were asked every question."""
        return sum(map(self.samples, self.table)) * sum(self.sizes)

    def samples(self, name: str) -> int:
        return self._asked_as(name)["samples"] if self.table[name] else 1

    def title(self, name: str) -> str:
        return self._asked_as(name)["title"] if self.table[name] else name

    def _asked_as(self, name: str) -> dict:
        return next(iter(self.table[name].values())).first.sample["technique"]

    def fresh(self, name: str) -> list[Cell]:
        """What it showed on the questions that decide: those of the last block."""
        return [cell for cell in self.table[name].values() if cell.block == len(self.sizes) - 1]

    def seen(self, name: str) -> list[Cell]:
        """What a finalist showed on the fresh questions, one that dropped out in the search."""
        return self.fresh(name) if name in self.finalists else list(self.table[name].values())

    def refuses_all(self, name: str, last_block: int) -> str:
        """Why "I don't know" earns it nothing, for it says so of what can be known too; or "". Up to that block."""
        cells = (cell for cell in self.table[name].values() if cell.block <= last_block)
        known = [cell for cell in cells if cell.is_knowable and cell.replied]
        refused = sum(cell.refuses for cell in known)
        if not known or refused < REFUSES_ALL * len(known):
            return ""
        return f"it refuses {refused} of {len(known)} known questions as well"

    def why_not(self, name: str) -> str:
        """Why it cannot be said how good its answers are, or ""."""
        known = [cell.voted for cell in self.seen(name) if cell.is_knowable and cell.replied]
        return self.refuses_all(name, len(self.sizes)) or too_few_beside(known, "known questions")

    @cached_property
    def contrasts(self) -> dict[str, Contrast]:
        """Finalist -> what it gains over zero-shot on fresh questions; p by Holm. None where it can't be measured."""
        return self._contrasts(REFERENCE, [name for name in self.finalists if name != REFERENCE], holm)

    @cached_property
    def warnings(self) -> dict[str, Contrast]:
        """Dropped technique -> what it gained over zero-shot in the search, or lost.

        It was looked at after every block, and dropped because it looked poor: its p-value is multiplied by all the
        looks there could be at all techniques (Bonferroni), which holds whatever made it drop out.
        """
        looks = (len(self.sizes) - 1) * (len(self.table) - 1)
        return self._contrasts(REFERENCE, list(self.dropped), partial(_bonferroni, looks), looks)

    @property
    def best(self) -> str | None:
        """The technique to use instead of zero-shot: of those that are surely better, the one that gains most."""
        better = [name for name, contrast in self.contrasts.items() if contrast.is_better]
        return max(better, key=lambda name: self.contrasts[name].found.difference, default=None)

    @cached_property
    def equals(self) -> dict[str, Contrast]:
        """The other finalists that the best is not told apart from, against it."""
        rivals = [name for name in self.contrasts if name != self.best] if self.best else []
        return {n: c for n, c in self._contrasts(self.best, rivals, holm).items() if c.p >= ALPHA}

    def pairs(self, reference: str, name: str) -> list[tuple[Cell, Cell]]:
        """What both of them answered, question by question; of one that dropped out in the search."""
        others = self.table[reference]
        both = [(others[cell.first.id], cell) for cell in self.seen(name) if cell.first.id in others]
        return [(before, after) for before, after in both if before.replied and after.replied]

    def _difference(self, reference: str, name: str) -> Difference | None:
        if self.why_not(reference) or self.why_not(name):
            return None
        pairs = self.pairs(reference, name)
        a, b = ([cell.observed(cell.good) for cell in side] for side in zip(*pairs, strict=True)) if pairs else ([], [])
        found = difference("share", a, b)
        return found if found and found.clusters >= SMALLEST_N else None

    def _contrasts(self, reference: str, names: Sequence[str], adjust: Adjust, family: int = 0) -> dict[str, Contrast]:
        """Of those of `names` that can be measured; the intervals hold together for `family` of them, or for all."""
        found = {name: apart for name in names if (apart := self._difference(reference, name))}
        adjusted = adjust([apart.p for apart in found.values()])
        miss = ALPHA / max(family, len(found), 1) / 2
        contrasts = {}
        for (name, apart), p in zip(found.items(), adjusted, strict=True):
            low, high = (_bounded(apart.limit(level)) for level in (miss, 1 - miss))
            contrasts[name] = Contrast(apart, p, low, high, self._more(reference, name))
        return contrasts

    def _more(self, reference: str, name: str) -> float:
        return fmean(after.tokens - before.tokens for before, after in self.pairs(reference, name))


def _bonferroni(looks: int, p_values: Sequence[float]) -> list[float]:
    return [min(1.0, looks * p) for p in p_values]


def _bounded(difference: float) -> float:
    """A difference of shares, which a limit by t may overshoot."""
    return min(1.0, max(-1.0, difference))


def compare_techniques(records: Sequence[Record]) -> Comparison:
    """The comparison that the records of a run give, finished or not; at least one is needed."""
    design = records[0].sample
    return Comparison(table_of(records, design["techniques"]), design["sizes"])
