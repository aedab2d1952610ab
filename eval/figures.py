"""The figures of a run: what a table prints, and what a gate or a comparison refers to by its key.

A figure is a statistic of observations. Keeping the observations is what lets two runs be compared in pairs, sample by
sample, whatever the statistic is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from eval.meaning import Better, Meaning
from eval.records import Record
from eval.scores.score import Score
from eval.statistics import Estimate, Observation, Statistic, estimate, wilson

SMALLEST_N = 10
"""Below this many clusters (questions, documents) a figure says more about chance than about the model."""
Unit = Literal["share", "number", "seconds"]


@dataclass(frozen=True)
class Figure:
    """One line of a table: `statistic` of `observations`."""

    key: str
    """Unique within the run: "<task>.<key>" once the task's name is in front."""
    label: str
    statistic: Statistic
    observations: Sequence[Observation]
    errors: int = 0
    """Requests without a reply."""
    unparsed: int = 0
    """Replies that a score could not read; where a good end is declared they count as its opposite."""
    better: Better = "high"
    unit: Unit = "share"
    meaning: Meaning | None = None
    example: str = ""
    """A question that was missed, for those who want to know what to mend."""
    smallest_n: int = SMALLEST_N
    unmeasurable: str = ""
    """Why the number would mislead, where the suite knows: a model that refuses everything, say."""

    @property
    def n(self) -> int:
        return len(self.observations)

    @property
    def why_not(self) -> str:
        """Why this is not measurable, or "" if it is."""
        clusters = min(map(len, self._kinds()))
        if self.unmeasurable:
            return self.unmeasurable
        if self.observations and self.unparsed == self.n:
            return "no answer could be read"
        if clusters < self.smallest_n:
            return f"{clusters or 'no'} answer{'' if clusters == 1 else 's'}, fewer than {self.smallest_n}"
        return "" if self._estimate else "it is not defined for these answers"

    def _kinds(self) -> list[set[str]]:
        """The clusters on each side of what the statistic compares; one side where it compares nothing."""
        if self.statistic not in ("auroc", "balanced_accuracy"):
            return [{observation.cluster for observation in self.observations}]
        return [{o.cluster for o in self.observations if (o.against > 0.5) == side} for side in (True, False)]

    @property
    def estimate(self) -> Estimate | None:
        """The value with its 95 % interval; None where `why_not` says why it cannot be measured."""
        return None if self.why_not else self._estimate

    @cached_property
    def _estimate(self) -> Estimate | None:
        return estimate(self.statistic, self.observations)

    def as_json(self) -> dict[str, Any]:
        """For summary.json; the observations stay in the records."""
        value, low, high = self.estimate[:3] if self.estimate else (None, None, None)
        fields = {"label": self.label, "value": value, "low": low, "high": high, "n": self.n, "errors": self.errors}
        fields |= {"unparsed": self.unparsed, "better": self.better, "unit": self.unit, "statistic": self.statistic}
        return fields | {name: text for name in ("why_not", "example") if (text := getattr(self, name))}


@dataclass(frozen=True)
class Section:
    """Figures that belong together, under one heading."""

    title: str
    figures: Sequence[Figure]

    def of_task(self, name: str) -> "Section":
        """This section with the task's name in front of every key."""
        return Section(self.title, [replace(figure, key=f"{name}.{figure.key}") for figure in self.figures])


def unit_of(record: Record) -> str:
    """What a record is paired by with that of another run: its sample, variant and repeat."""
    return f"{record.id}\t{record.variant}\t{record.repeat}"


def observed(record: Record, value: float, against: float = 1.0, group: str = "") -> Observation:
    """One observation of `record`; records of the same cluster are never taken for independent."""
    return Observation(unit_of(record), record.cluster, float(value), float(against), group)


def answered(records: Iterable[Record]) -> list[Record]:
    """The records that have a reply."""
    return [record for record in records if record.status == "ok"]


def errors_in(records: Iterable[Record]) -> int:
    """How many of `records` have none."""
    return sum(record.status != "ok" for record in records)


def share(
    key: str,
    label: str,
    records: Iterable[Record],
    holds: Callable[[Record], bool],
    better: Better = "high",
    meaning: Meaning | None = None,
) -> Figure:
    """The share of the answered `records` for which `holds`; errors are counted beside it."""
    records = list(records)
    observations = [observed(record, holds(record)) for record in answered(records)]
    return Figure(key, label, "share", observations, errors_in(records), better=better, meaning=meaning)


def mean(key: str, label: str, records: Iterable[Record], score: Score, better: Better | None = None) -> Figure:
    """The mean of one declared score over the records that have it. What could not be read counts as the bad end."""
    meaning, records = score.meaning, [r for r in records if r.status != "ok" or score.name in r.scores]
    better = meaning.better if better is None else better
    worst = meaning.high if better == "low" else meaning.low
    values = [(record, record.scores[score.name]) for record in answered(records)]
    read = [(record, value if value is not None else worst) for record, value in values if not (value is None is worst)]
    is_share = bool(values) and all(isinstance(value, bool) or value is None for _, value in values)
    return Figure(
        key,
        label,
        "share" if is_share else "mean",
        [observed(record, value) for record, value in read],
        errors_in(records),
        unparsed=sum(value is None for _, value in values),
        better=better,
        unit="share" if (meaning.low, meaning.high) == (0.0, 1.0) else "number",
        meaning=meaning,
    )


def without_merit(figures: Iterable[Figure], why: str) -> list[Figure]:
    """The shares, those at their good end not measurable if there is a reason why being there is no merit."""
    return [replace(figure, unmeasurable=why) if why and _is_good(figure) else figure for figure in figures]


def _is_good(figure: Figure) -> bool:
    held = sum(observation.value for observation in figure.observations)
    return (held <= figure.n / 2) if figure.better == "low" else (held >= figure.n / 2)


def means(scores: Sequence[Score], by: str | None = None) -> Callable[[Sequence[Record]], list[Section]]:
    """What the records of a simple task say: the mean of every score, overall, by variant, and by a sample's field."""

    def summarise(records: Sequence[Record]) -> list[Section]:
        return [Section(score.name.replace("_", " "), _breakdown(score, records, by)) for score in scores]

    return summarise


def _breakdown(score: Score, records: Sequence[Record], by: str | None) -> list[Figure]:
    figures = [mean(score.name, "all", records, score)]
    kinds = {"variant": lambda r: r.variant or "original", "kind": lambda r: str(r.sample.get(by, ""))}
    for name, kind in kinds.items():
        members: dict[str, list[Record]] = {}
        for record in records:
            members.setdefault(kind(record), []).append(record)
        if len(members) > 1:
            figures += [mean(f"{score.name}.{name}.{k}", f"  {k}", of, score) for k, of in sorted(members.items())]
    return figures


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
    for record in answered(records):
        kinds.setdefault(kind(record), []).append(record)
    figures = []
    for name, members in kinds.items():
        missed = [record for record in members if not holds(record)]
        if len(members) >= smallest_n and missed:
            limit = wilson(len(members) - len(missed), len(members)).high
            figure = share(f"{prefix}.{name}", name, members, holds)
            example = str(missed[0].sample.get("question", missed[0].id))
            figures.append((limit, name, replace(figure, example=example, smallest_n=smallest_n)))
    return [figure for _, _, figure in sorted(figures, key=lambda entry: entry[:2])[:count]]
