"""The figures of a run: what a table prints, and what a gate or a comparison refers to by its key."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from eval.records import Record
from eval.statistics import Estimate, wilson

SMALLEST_N = 10
"""Below this many answers a figure says more about chance than about the model."""


@dataclass(frozen=True)
class Figure:
    """One line of a table. `estimate` is None when it cannot be measured: too few answers, or one kind is missing."""

    key: str
    label: str
    estimate: Estimate | None
    n: int
    errors: int = 0
    better: Literal["high", "low", ""] = ""
    unit: Literal["share", "auroc"] = "share"
    example: str = ""
    """A question that was missed, for those who want to know what to mend."""

    def as_json(self) -> dict[str, Any]:
        value, low, high = self.estimate[:3] if self.estimate else (None, None, None)
        limits = {"value": value, "low": low, "high": high, "n": self.n, "errors": self.errors}
        example = {"example": self.example} if self.example else {}
        return {"label": self.label, **limits, "better": self.better, "unit": self.unit, **example}


@dataclass(frozen=True)
class Section:
    """Figures that belong together, under one heading."""

    title: str
    figures: Sequence[Figure]


def share(
    key: str,
    label: str,
    records: Iterable[Record],
    holds: Callable[[Record], bool],
    better: Literal["high", "low", ""] = "high",
) -> Figure:
    """The share of the answered `records` for which `holds`, with its Wilson interval; errors are counted beside it."""
    records = list(records)
    answered = [record for record in records if record.status == "ok"]
    n = len(answered)
    estimate = wilson(sum(map(holds, answered)), n) if n >= SMALLEST_N else None
    return Figure(key, label, estimate, n, len(records) - n, better)


def shares(score: str, by: str = "group") -> Callable[[Sequence[Record]], list[Section]]:
    """A summary for simple suites: how often `score` is true, overall and by a field of the question."""

    def summarise(records: Sequence[Record]) -> list[Section]:
        kinds = sorted({str(r.question[by]) for r in records if by in r.question})
        figures = [share(score, "all", records, lambda r: r.scores[score])]
        for kind in kinds:
            members = [r for r in records if str(r.question.get(by)) == kind]
            figures.append(share(f"{kind}.{score}", kind, members, lambda r: r.scores[score]))
        return [Section(score, figures)]

    return summarise


def worst(
    prefix: str,
    records: Sequence[Record],
    holds: Callable[[Record], bool],
    kind: Callable[[Record], str],
    count: int,
    smallest_n: int = 3,
) -> list[Figure]:
    """The `count` kinds of record that are surely bad: lowest upper limit first, none without a miss."""
    kinds: dict[str, list[Record]] = {}
    for record in records:
        if record.status == "ok":
            kinds.setdefault(kind(record), []).append(record)
    figures = []
    for name, members in kinds.items():
        missed = [record for record in members if not holds(record)]
        if len(members) >= smallest_n and missed:
            estimate = wilson(len(members) - len(missed), len(members))
            example = missed[0].question["question"]
            figures.append(Figure(f"{prefix}.{name}", name, estimate, len(members), better="high", example=example))
    return sorted(figures, key=lambda f: (f.estimate.high, f.label))[:count]
