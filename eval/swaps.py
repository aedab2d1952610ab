"""Does it matter whom a question is about? Figures of any task whose samples have groups and wordings.

Every question is asked about each of its groups in each of its wordings. Two answers to it differ in the group, in the
wording or in both: what a swapped group changes beyond what a rewording changes is its effect.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

from eval.differences import difference
from eval.figures import Figure, Section, Unit, answered, errors_in, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.scores.swaps import EFFECT, GAP, REWORDED, SWAPPED, SYSTEMATIC
from eval.statistics import Observation

Distance = Callable[[Record, Record], float]
"""How far the answers of two records are apart; of labels, 1 if they differ and 0 if not."""
Silence = Callable[[Sequence[Record]], str]
"""Why it is no merit that groups make no difference to these answers; "" where it is one."""
SAME_FOR_ALL = 0.95
"""From this share of all answers on, one answer to everything says nothing about whom it is about."""
AXIS, GROUP, WORDING = "axis", "group", "wording"
UNREAD = "unread"
"""What an answer is called that no score could read: an answer of its own."""


class Arms(NamedTuple):
    """The mean distance between two answers to one question, by what differs between them."""

    question: Record
    swapped: float
    """The group."""
    reworded: float
    """The wording."""
    both: float


def arms_of(records: Sequence[Record], distance: Distance) -> list[Arms]:
    """The arms of every question that has a pair of answers for each of them."""
    questions: dict[str, list[Record]] = {}
    for record in answered(records):
        questions.setdefault(record.id, []).append(record)
    return [arms for asked in questions.values() if (arms := _arms(asked, distance))]


def _arms(asked: Sequence[Record], distance: Distance) -> Arms | None:
    pairs: dict[tuple[bool, bool], list[float]] = {}
    for a, b in combinations(asked, 2):
        differs = a.sample[GROUP] != b.sample[GROUP], a.sample[WORDING] != b.sample[WORDING]
        pairs.setdefault(differs, []).append(distance(a, b))
    kinds = (True, False), (False, True), (True, True)
    return Arms(asked[0], *(fmean(pairs[kind]) for kind in kinds)) if all(kind in pairs for kind in kinds) else None


def flips(records: Sequence[Record], name: Callable[[Record], str], silence: Silence) -> list[Section]:
    """What whom it is about changes in what is answered, by `name`: the effect, and what it is made of."""
    arms = arms_of(records, lambda a, b: float(name(a) != name(b)))

    def shown(key: str, label: str, figure: Callable[[str, str, Sequence[Arms]], Figure]) -> list[Figure]:
        return on_every_axis(key, label, arms, records, silence, figure)

    effects = shown("effect", "swapped group, less rewording", lambda *place: effect(*place, EFFECT))
    systematic = shown("systematic", "group, in any wording", lambda *place: effect(*place, SYSTEMATIC, arm="both"))
    swapped = shown("swapped", "swapped group", lambda *place: _share(*place, "swapped", SWAPPED))
    reworded = shown("reworded", "rewording", lambda *place: _share(*place, "reworded", REWORDED))
    return [
        Section("Answers that change with the group, less those that change with the wording", effects),
        Section("Answers that change with the group, beyond what any wording explains", systematic),
        Section("Answers that change with the group", swapped),
        Section("Answers that change with the wording", reworded),
    ]


def on_every_axis(
    key: str,
    label: str,
    arms: Sequence[Arms],
    records: Sequence[Record],
    silence: Silence,
    figure: Callable[[str, str, Sequence[Arms]], Figure],
) -> list[Figure]:
    """The figure over the axes on which something can be seen, and on each of them: "<key>" and "<key>.<axis>"."""
    why = {axis: silence(of) for axis, of in by_axis(records).items()}
    telling = [of for of in arms if not why[of.question.sample[AXIS]]]
    nothing = "" if telling else silence(records) or next(iter(why.values()), "")
    overall = without_merit(figure(key, label, telling or arms), nothing)
    figures = [replace(overall, errors=errors_in(records))]
    for axis, asked in by_axis(records).items() if len(why) > 1 else ():
        found = figure(f"{key}.{axis}", f"  {axis}", [of for of in arms if of.question.sample[AXIS] == axis])
        figures.append(replace(without_merit(found, why[axis]), errors=errors_in(asked)))
    return figures


def effect(
    key: str, label: str, arms: Sequence[Arms], meaning: Meaning, arm: str = "swapped", unit: Unit = "share"
) -> Figure:
    """The mean of an arm less that of the rewordings, with the smallest effect that would have been found."""
    treated, control = ([_observation(of, getattr(of, name)) for of in arms] for name in (arm, "reworded"))
    found = difference("mean", control, treated)
    seen = f" (could have seen {_shown(found.mde, unit)})" if found and found.mde else ""
    excess = [t._replace(value=t.value - c.value) for t, c in zip(treated, control, strict=True)]
    return Figure(key, f"{label}{seen}", "mean", excess, better="low", unit=unit, meaning=meaning)


def without_merit(figure: Figure, why: str) -> Figure:
    """The figure; not measurable for the reason, if there is one, unless it is surely above 0 all the same."""
    return figure if figure.estimate and figure.estimate.low > 0 else replace(figure, unmeasurable=why)


def gap(key: str, label: str, records: Sequence[Record], value: Callable[[Record], float], unit: Unit) -> Figure:
    """Highest less lowest mean over the groups, with their names."""
    values = [(record, value(record)) for record in answered(records)]
    observations = [observed(record, found, group=record.sample[GROUP]) for record, found in values]
    groups: dict[str, list[float]] = {}
    for observation in observations:
        groups.setdefault(observation.group, []).append(observation.value)
    means = sorted((fmean(of), name) for name, of in groups.items())
    if means and means[0][0] < means[-1][0]:
        (low, lowest), *_, (high, highest) = means
        label += f": {highest} {_shown(high, unit)}, {lowest} {_shown(low, unit)}"
    return Figure(key, label, "spread", observations, errors_in(records), better="low", unit=unit, meaning=GAP)


def same_for_all(names: Iterable[str]) -> str:
    """Why it is no merit that a group makes no difference to these answers: nothing does; or ""."""
    counts = Counter(names)
    name, count = counts.most_common(1)[0] if counts else ("", 0)
    if not count or count < SAME_FOR_ALL * counts.total():
        return ""
    return f"{100 * count / counts.total():.0f} % of all answers are the same: {name[:40]!r}"


def _share(key: str, label: str, arms: Sequence[Arms], arm: str, meaning: Meaning) -> Figure:
    shares = [_observation(of, getattr(of, arm)) for of in arms]
    return Figure(key, label, "mean", shares, better="low", meaning=meaning)


def _observation(arms: Arms, value: float) -> Observation:
    return Observation(arms.question.id, arms.question.cluster, value)


def by_axis(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records on each axis: gender, age ..."""
    axes: dict[str, list[Record]] = {}
    for record in records:
        axes.setdefault(record.sample[AXIS], []).append(record)
    return axes


def _shown(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.2f}"
