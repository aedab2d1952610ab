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
from eval.statistics import Estimate, Observation, Statistic, estimate

SMALLEST_N = 10
"""Below this many clusters (questions, documents) a figure says more about chance than about the model."""
Unit = Literal["share", "number", "seconds"]
Side = tuple[Sequence[Record], Callable[[Record], bool]]


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
        if self.unmeasurable:
            return self.unmeasurable
        clusters, answers = min((len(set(side)), len(side)) for side in self._sides())
        if clusters < self.smallest_n:
            what = "answer" if clusters == answers else "independent question"
            return f"{clusters or 'no'} {what}{'' if clusters == 1 else 's'}, fewer than {self.smallest_n}"
        return "" if self._estimate else "it is not defined for these answers"

    def _sides(self) -> list[list[str]]:
        """The cluster of every answer on each side of what the statistic compares; one side if it compares nothing."""
        if self.statistic not in ("auroc", "balanced_accuracy", "excess"):
            return [[observation.cluster for observation in self.observations]]
        return [[o.cluster for o in self.observations if (o.against > 0.5) == side] for side in (True, False)]

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


def unanswered(key: str, label: str, records: Iterable[Record]) -> Figure:
    """The share of all requests that got no answer."""
    failed = [observed(record, record.status != "ok") for record in records]
    return Figure(key, label, "share", failed, better="low")


def mean(key: str, label: str, records: Iterable[Record], score: Score, better: Better | None = None) -> Figure:
    """The mean of one declared score over the records that have it. What could not be read counts as the bad end."""
    meaning, records = score.meaning, [r for r in records if r.status != "ok" or score.name in r.scores]
    better = meaning.better if better is None else better
    worst = bad_end(meaning, better)
    values = [(record, record.scores[score.name]) for record in answered(records)]
    read = [(record, value if value is not None else worst) for record, value in values if not (value is None is worst)]
    is_share = bool(values) and all(isinstance(value, bool) or value is None for _, value in values)
    unparsed = sum(value is None for _, value in values)
    return Figure(
        key,
        label,
        "share" if is_share else "mean",
        [observed(record, value) for record, value in read],
        errors_in(records),
        unparsed=unparsed,
        better=better,
        unit="share" if (meaning.low, meaning.high) == (0.0, 1.0) else "number",
        meaning=meaning,
        unmeasurable="no answer could be read" if values and unparsed == len(values) else "",
    )


def bad_end(meaning: Meaning, better: Better) -> float | None:
    """What an answer that cannot be read counts as; None where the range has no such end."""
    return meaning.high if better == "low" else meaning.low


def balanced(key: str, label: str, positives: Side, negatives: Side, meaning: Meaning) -> Figure:
    """Balanced accuracy: each side is the records of one kind, and whether one of them is judged right."""
    sides = ((*positives, 1), (*negatives, 0))
    judged = [observed(r, holds(r), against) for records, holds, against in sides for r in answered(records)]
    errors = errors_in(positives[0]) + errors_in(negatives[0])
    return Figure(key, label, "balanced_accuracy", judged, errors, meaning=meaning)


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
    """The `count` kinds of record that are surely bad: lowest upper limit first, none without a miss.

    Where a kind is one cluster, as a wording is, its records are independent of each other given the kind. Those whose
    kind is "" are left out.
    """
    kinds: dict[str, list[Record]] = {}
    for record in answered(records):
        kinds.setdefault(kind(record), []).append(record)
    kinds.pop("", None)
    figures = []
    for name, members in kinds.items():
        if len({record.cluster for record in members}) == 1:
            members = [replace(record, cluster=record.id) for record in members]
        missed = next((record for record in members if not holds(record)), None)
        if missed:
            example = str(missed.sample.get("question") or missed.sample.get("caption", missed.id))
            figure = share(f"{prefix}.{name}", name, members, holds)
            figures.append(replace(figure, example=example, smallest_n=smallest_n))
    measured = [(figure.estimate.high, figure.label, figure) for figure in figures if figure.estimate]
    return [figure for *_, figure in sorted(measured, key=lambda entry: entry[:2])[:count]]
