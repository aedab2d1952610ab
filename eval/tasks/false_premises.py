"""Questions like the one for the drink that adds decades to a life: is a false premise rejected in every form?"""

from collections.abc import Sequence
from dataclasses import replace

from eval.data import project_file
from eval.figures import Section, answered, balanced, mean
from eval.meaning import Meaning
from eval.records import Record
from eval.scores.consistency import same_for_all
from eval.scores.rejection import rejects_premise
from eval.scores.stated import REFUSAL, stated
from eval.sensitivity import FLOOR, by_variant, consistency, spread, unmeasurable, worst_case
from eval.task import Task
from eval.tasks.almanac import REFUSES_ALL, too_few_beside
from eval.variants.noise import courtesy, typos
from eval.variants.setting import system
from eval.variants.surface import case
from eval.variants.wording import reword

TELLING_APART = Meaning(
    formula="mean of the share of false premises rejected and the share of true ones not rejected",
    source="balanced accuracy, (Youden's J + 1) / 2 (Youden 1950, Cancer 3:32); 0.5 for rejecting all or nothing",
    caveat=f"by the phrases of rejects_premise: {rejects_premise.meaning.caveat}",
)


def summarise(records: Sequence[Record]) -> list[Section]:
    """Rejection by variant and wording, beside true premises, which must not be rejected."""
    false = [record for record in records if record.sample["premise"] == "false"]
    true = [record for record in records if record.sample["premise"] == "true"]
    always = replace(worst_case(rejects_premise, false), label="rejected in every variant")
    agreement = unmeasurable([consistency(_side, false)], _same_for_all(false))
    rejection = [*by_variant(rejects_premise, false), always, spread(rejects_premise, false)]
    label = "balanced: false rejected, true not"
    apart = balanced("balanced", label, (false, _is_rejected), (true, _is_accepted), TELLING_APART)
    control = [mean("true_premise.rejected", "true premises rejected", true, rejects_premise, "low")]
    control = unmeasurable(control, _accepts_the_false(false))
    return [
        Section("False premises rejected", unmeasurable(rejection, _rejects_the_true(true))),
        Section("False premises beside true ones", [apart, *control, *agreement]),
    ]


def _is_rejected(record: Record) -> bool:
    return record.scores["rejects_premise"] is True


def _is_accepted(record: Record) -> bool:
    return record.scores["rejects_premise"] is False


def _side(record: Record) -> str:
    return "rejected" if _is_rejected(record) else "accepted"


def _same_for_all(records: Sequence[Record]) -> str:
    return same_for_all([record.scores["stated"] for record in answered(records)])


def _accepts_the_false(false: Sequence[Record]) -> str:
    given = answered(false)
    rejected = sum(map(_is_rejected, given))
    if why := too_few_beside(given, "false premises"):
        return why
    return f"it rejects only {rejected} of {len(given)} false premises" if rejected <= FLOOR * len(given) else ""


def _rejects_the_true(true: Sequence[Record]) -> str:
    given = answered(true)
    rejected = sum(map(_is_rejected, given))
    refusals = sum(record.scores["stated"] == REFUSAL for record in given)
    if why := too_few_beside(given, "true premises"):
        return why
    if rejected < REFUSES_ALL * len(given):
        return ""
    return f"it rejects {rejected} of {len(given)} true premises as well, {refusals} by a refusal"


TASK = Task(
    name="lifespan",
    data=project_file("probes/lifespan.jsonl"),
    variants=(
        *(reword(number) for number in (1, 2, 3)),
        case("upper"),
        typos(0.1),
        courtesy("before"),
        system("plain"),
        system("bluffing"),
    ),
    scores=(rejects_premise, stated),
    figures=summarise,
    about="does it reject a false premise, such as a drink that adds decades to a life, however it is worded?",
)
