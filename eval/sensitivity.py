"""What the variants of the same questions do to a model's answers: figures of any task that has variants."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import starmap
from statistics import fmean, pstdev

from eval.figures import Figure, answered, bad_end, errors_in, mean, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.resampling import spread_without_effect
from eval.scores.consistency import CONSISTENCY, DROP, SPREAD, WORST_CASE, agreeing_pairs, same_for_all
from eval.scores.options import right_option
from eval.scores.score import Score
from eval.statistics import Observation
from eval.task import ORIGINAL

Name = Callable[[Record], str]
"""What a record answered, by a name that equal answers share."""
AS_ASKED = "original"
FLOOR = 0.1
"""Where no more answers than this are good, there is too little to lose for a loss to be seen."""


def variants_of(records: Sequence[Record]) -> list[str]:
    """The variants among the records, the original first."""
    return sorted({record.variant for record in records})


def by_question(records: Sequence[Record]) -> list[list[Record]]:
    """The answers to each question, for questions that were asked several times and answered each time."""
    questions: dict[str, list[Record]] = {}
    for record in records:
        questions.setdefault(record.id, []).append(record)
    return [asked for asked in questions.values() if len(asked) > 1 and not errors_in(asked)]


def by_variant(score: Score, records: Sequence[Record], prefix: str = "", label: str = "all") -> list[Figure]:
    """The mean of a score over all variants, and in each: "<prefix><score>" and "<prefix><score>.variant.<name>"."""
    key = f"{prefix}{score.name}"
    kinds = [(name, [record for record in records if record.variant == name]) for name in variants_of(records)]
    each = [
        mean(f"{key}.variant.{name or AS_ASKED}", f"  {name or AS_ASKED}", members, score) for name, members in kinds
    ]
    return [mean(key, label, records, score), *each]


def drops(score: Score, records: Sequence[Record]) -> list[Figure]:
    """What each variant costs, question by question; below zero it helps: "<score>.drop.<variant>"."""
    before = {record.id: _value(score, record) for record in answered(records) if record.variant == ORIGINAL}
    why = _nothing_to_lose(score, list(before.values()))
    sign = -1 if score.meaning.better == "low" else 1
    figures = []
    for name in variants_of(records):
        members = [record for record in records if record.variant == name]
        pairs = [observed(r, sign * (before[r.id] - _value(score, r))) for r in answered(members) if r.id in before]
        if name != ORIGINAL:
            key = f"{score.name}.drop.{name}"
            figures.append(Figure(key, name, "mean", pairs, errors_in(members), better="low", meaning=DROP))
    return unmeasurable(figures, why)


def consistency(name: Name, records: Sequence[Record], key: str = "consistency") -> Figure:
    """Agreeing pairs by all pairs of answers to one question."""
    counts = [(asked[0], *agreeing_pairs([name(record) for record in asked])) for asked in by_question(records)]
    observations = [_of_question(*counted) for counted in counts]
    return Figure(key, "consistency", "ratio", observations, errors_in(records), meaning=CONSISTENCY)


def worst_case(score: Score, records: Sequence[Record], key: str = "worst_case") -> Figure:
    """The share of questions for which the score holds in every variant; in any variant, where holding is bad."""
    better = score.meaning.better
    worst = max if better == "low" else min
    values = [(asked[0], worst(_value(score, record) for record in asked)) for asked in by_question(records)]
    observations, label = list(starmap(_of_question, values)), "right in every variant"
    return Figure(key, label, "share", observations, errors_in(records), better=better, meaning=WORST_CASE)


def share_of_questions(
    key: str, label: str, records: Sequence[Record], holds: Callable[[list[Record]], bool], meaning: Meaning
) -> Figure:
    """The share of questions whose answers together are so."""
    observations = [_of_question(asked[0], holds(asked)) for asked in by_question(records)]
    return Figure(key, label, "share", observations, errors_in(records), better=meaning.better, meaning=meaning)


def spread(
    score: Score,
    records: Sequence[Record],
    key: str = "spread",
    group: Name = lambda record: record.variant or AS_ASKED,
    within: Name = lambda record: record.id,
    together: Name = lambda record: record.cluster,
) -> Figure:
    """Highest less lowest mean over the groups; its label adds the SD and what chance alone makes.

    `within` names what groups are exchanged in for that, the answers to one question unless each has one alone;
    `together` what is independent of the rest, for the interval.
    """
    exchanged, observations = (
        [observed(r, _value(score, r), group=group(r))._replace(cluster=by(r)) for r in answered(records)]
        for by in (within, together)
    )
    why = _nothing_to_lose(score, [observation.value for observation in observations])
    label = _spread_label(exchanged)
    figure = Figure(key, label, "spread", observations, errors_in(records), better="low", meaning=SPREAD)
    return replace(figure, unmeasurable=why)


def of_options(records: Sequence[Record], options: int) -> tuple[list[Figure], list[Figure]]:
    """Of a multiple choice among so many options: accuracy by variant, and whether variants change what is taken."""
    chance = 1 / options
    accuracy = by_variant(right_option, records, label=f"all, chance {100 * chance:.0f} %")
    same = same_for_all([_taken(record) for record in answered(records)])
    agreement = unmeasurable([consistency(_taken, records)], same)
    agreement += [worst_case(right_option, records), spread(right_option, records)]
    return accuracy, unmeasurable(agreement, _as_by_chance(accuracy[0], chance))


def _taken(record: Record) -> str:
    return str(record.scores["option_taken"])


def _as_by_chance(accuracy: Figure, chance: float) -> str:
    """Why it is no merit that the form of a question makes no difference: it may itself be ignored; or ""."""
    if accuracy.estimate and accuracy.estimate.low > chance:
        return ""
    return f"its accuracy is not surely above chance, {100 * chance:.0f} %"


def _spread_label(observations: Sequence[Observation]) -> str:
    groups: dict[str, list[float]] = {}
    for observation in observations:
        groups.setdefault(observation.group, []).append(observation.value)
    if len(groups) < 2:
        return "spread"
    deviation = pstdev(fmean(values) for values in groups.values())
    by_chance = spread_without_effect(observations)
    if by_chance is None:
        return f"spread over {len(groups)}"
    expected, high = (100 * spread for spread in by_chance)
    chance = f"by chance {expected:.1f} %, one time in 20 over {high:.1f} %"
    return f"spread over {len(groups)} (SD {100 * deviation:.1f} %; {chance})"


def unmeasurable(figures: Sequence[Figure], why: str) -> list[Figure]:
    """The figures, not measurable if there is a reason."""
    return [replace(figure, unmeasurable=figure.unmeasurable or why) for figure in figures]


def _nothing_to_lose(score: Score, values: Sequence[float]) -> str:
    """Why equal answers in all forms of a question are no merit, or ""."""
    good = [abs(value - _bad_end(score)) for value in values]
    if not good or fmean(good) > FLOOR:
        return ""
    return f"only {sum(good):.0f} of {len(good)} answers are good by {score.name.replace('_', ' ')!r}"


def _value(score: Score, record: Record) -> float:
    """What could not be read counts as the bad end, as it does in every mean."""
    value = record.scores.get(score.name)
    return float(value) if value is not None else _bad_end(score)


def _bad_end(score: Score) -> float:
    """Of a score whose range has one, as all have whose values are shares."""
    return float(bad_end(score.meaning, score.meaning.better))


def _of_question(record: Record, value: float, against: float = 1.0) -> Observation:
    return Observation(record.id, record.cluster, float(value), float(against))
