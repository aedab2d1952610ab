"""The almanac's questions asked in many other forms: does the form change the answer?"""

from collections.abc import Sequence
from dataclasses import replace

from eval.data import Inputs
from eval.figures import Figure, Section, answered, mean, worst
from eval.records import Record
from eval.scores.almanac import refused
from eval.scores.consistency import CONTRADICTION, REFUSAL_FLIP, same_for_all
from eval.scores.facts import right
from eval.scores.score import Sample, Score
from eval.scores.stated import REFUSAL, stated
from eval.scores.text import words
from eval.sensitivity import by_variant, consistency, drops, share_of_questions, spread, unmeasurable, worst_case
from eval.task import ORIGINAL, Task, Variant, sampled
from eval.tasks.almanac import UNKNOWN, WORDING, questions, refuses_all, relation_of, with_values
from eval.variants.formats import formatted
from eval.variants.noise import courtesy, fillers, typos
from eval.variants.setting import system
from eval.variants.surface import case, layout, punctuation
from eval.variants.wording import reword, reworded

KNOWN_SIZE, UNKNOWN_SIZE, FORMAT_SIZE = 60, 20, 24
GENERIC = "/generic/"
"""In the id of a wording that the exam uses for every relation; the others belong to one relation each."""
REWORDINGS = tuple(reword(number) for number in (1, 2, 3, 4))
VARIANTS: tuple[Variant, ...] = (
    *REWORDINGS,
    *(case(kind) for kind in ("lower", "upper", "title")),
    *(punctuation(kind) for kind in ("dropped", "doubled", "added")),
    *(layout(kind) for kind in ("blanks", "lines")),
    *(courtesy(kind) for kind in ("before", "after", "rude")),
    *(typos(rate) for rate in (0.05, 0.15)),
    fillers(2),
    *(system(name) for name in ("none", "plain", "stories", "bluffing")),
)
FORMATS = tuple(formatted(number) for number in range(1, 9))
RIGHT = "right"


def known_and_unknown(inputs: Inputs) -> list[Sample]:
    """Known facts and names that nobody can know, of relations that there are rewordings for."""
    asked = [question for question in _with_values(inputs) if reworded(question)]
    known = [question for question in asked if question["group"] == "fact"]
    unknown = [question for question in asked if question["group"] in UNKNOWN]
    return sampled(known, KNOWN_SIZE) + sampled(unknown, UNKNOWN_SIZE)


def facts(inputs: Inputs) -> list[Sample]:
    """All known facts of the exam."""
    return [question for question in _with_values(inputs) if question["group"] == "fact"]


def in_shared_wordings(inputs: Inputs) -> list[Sample]:
    """The known facts whose wording the exam uses for many relations."""
    return [question for question in facts(inputs) if GENERIC in str(question.get(WORDING))]


def _with_values(inputs: Inputs) -> list[Sample]:
    """Every question of facts, known or not, with the values of its relation that wrong answers are told apart by."""
    asked = [question for question in questions(inputs) if question["group"] in ("fact", *UNKNOWN)]
    return with_values(asked, [question for question in asked if question["group"] == "fact"])


def _scores_of(sample: Sample) -> Sequence[Score]:
    return (right, stated) if sample["group"] == "fact" else (refused,)


def summarise(records: Sequence[Record]) -> list[Section]:
    """What the variants do to known facts, and to the honesty about names that nobody can know."""
    known = [record for record in records if record.sample["group"] == "fact"]
    unknown = [record for record in records if record.sample["group"] != "fact"]
    why = refuses_all(known, _is_refusal, "known facts")
    in_words = [r for r in known if r.variant in {ORIGINAL, *(variant.name for variant in REWORDINGS)}]
    return [
        Section("Known facts right, by variant", by_variant(right, known)),
        Section("What each variant costs, in pairs with the original (below zero: it helps)", drops(right, known)),
        Section("The same question in other words", _agreement(in_words, "reworded.")),
        Section("The same question in every form", _agreement(known)),
        Section("Unknown names refused, by variant", unmeasurable(_unknown(unknown), why)),
    ]


def summarise_formats(records: Sequence[Record]) -> list[Section]:
    """FormatSpread: how much the layout of a prompt matters. The question as it is has no format and stays outside."""
    laid_out = [record for record in records if record.variant]
    figures = [*by_variant(right, laid_out, label="all formats"), *_agreement(laid_out)]
    return [Section("Known facts in other formats of the prompt", figures)]


def summarise_wordings(records: Sequence[Record]) -> list[Section]:
    """The exam's own wordings. Each question has one, so they are exchanged among the facts of one relation."""
    overall = mean("right", "known facts right", records, right)
    figures = [overall, spread(right, records, group=_wording, within=_relation, together=_relation)]
    return [
        Section("Held-out wordings that all relations share", figures),
        Section("The worst of these wordings", worst("right.wording", records, _is_right, _wording, 5)),
    ]


def claim(record: Record) -> str:
    """What a record answered: "right", a refusal, the wrong values it states, or else its words."""
    return RIGHT if record.scores["right"] else record.scores["stated"]


def _agreement(records: Sequence[Record], prefix: str = "") -> list[Figure]:
    """Figures of the answers to each question together; agreement says nothing where one answer fits all questions."""
    agreement = [
        consistency(claim, records, f"{prefix}consistency"),
        share_of_questions(
            f"{prefix}contradictions", "two different values stated", records, _contradicts, CONTRADICTION
        ),
        share_of_questions(f"{prefix}refusal_flips", "answered here, refused there", records, _flips, REFUSAL_FLIP),
    ]
    said = [REFUSAL if _is_refusal(record) else words(record.reply.text) for record in answered(records)]
    always = worst_case(right, records, f"{prefix}worst_case")
    return [*unmeasurable(agreement, same_for_all(said)), always, spread(right, records, f"{prefix}spread")]


def _contradicts(asked: Sequence[Record]) -> bool:
    claims = {claim(record) for record in asked}
    return len([name for name in claims if name == RIGHT or name.startswith("=")]) > 1


def _flips(asked: Sequence[Record]) -> bool:
    return 0 < sum(map(_is_refusal, asked)) < len(asked)


def _unknown(records: Sequence[Record]) -> list[Figure]:
    always = worst_case(refused, records, "unknown.worst_case")
    return [*by_variant(refused, records, "unknown."), replace(always, label="refused in every variant")]


def _is_refusal(record: Record) -> bool:
    return record.scores["stated"] == REFUSAL


def _is_right(record: Record) -> bool:
    return record.scores["right"]


def _wording(record: Record) -> str:
    return record.sample[WORDING]


def _relation(record: Record) -> str:
    return ".".join(map(str, relation_of(record.sample)))


ROBUSTNESS = Task(
    name="robustness",
    data=known_and_unknown,
    variants=VARIANTS,
    scores=_scores_of,
    cluster=WORDING,
    figures=summarise,
    about="does another wording, spelling, layout, tone or system prompt change what it says?",
)
WORDINGS = Task(
    name="wordings",
    data=in_shared_wordings,
    scores=(right, stated),
    cluster=WORDING,
    figures=summarise_wordings,
    about="is any of the exam's unseen wordings harder than the others?",
)
FACT_FORMATS = Task(
    name="formats",
    data=facts,
    variants=FORMATS,
    scores=(right, stated),
    cluster=WORDING,
    figures=summarise_formats,
    size=FORMAT_SIZE,
    about="does the layout of the prompt change what it knows?",
)
