"""What every confidence in answers is measured by: coverage, base rate, ECE, Brier score, AUROC, AURC, length baseline.

The records are answers to questions of the almanac's exam, taught or withheld, that have the score `fact_outcome`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from eval.figures import Figure, answered, errors_in, observed, share
from eval.meaning import Meaning
from eval.records import Record
from eval.scores.text import words
from eval.statistics import Statistic

Value = Callable[[Record], float | None]


@dataclass(frozen=True)
class Confidence:
    """A number from 0 to 1 for every answer, None where the reply gives none."""

    key: str
    name: str
    formula: str
    caveat: str
    value: Value


ANSWERED = Meaning(
    formula="share of the questions that got an answer in words which is no refusal",
    source="coverage in selective prediction (El-Yaniv and Wiener 2010, JMLR 11:1605)",
    caveat="what is said of right and wrong answers below is about these alone",
    better="",
)
WRONG = Meaning(
    formula="share of these answers that do not state an alias of the right value",
    source="the risk at full coverage (El-Yaniv and Wiener 2010, JMLR 11:1605)",
    caveat="the base rate: what AURC would be if the confidence were drawn by lot",
    better="low",
)
ECE = Meaning(
    formula="sum over 10 bins of equal mass of n_bin / n * |accuracy - mean confidence|",
    source="Naeini et al. 2015 (AAAI 29); equal-mass bins as in HELM (Liang et al. 2022, arXiv:2211.09110)",
    caveat="biased upward below some 300 answers and dependent on the bins",
    better="low",
)
BRIER = Meaning(
    formula="mean of (confidence - correct)^2",
    source="Brier 1950 (Monthly Weather Review 78:1)",
    caveat="small by itself where nearly all answers are right: saying the base rate r to all reaches r (1 - r)",
    better="low",
)
AUROC = Meaning(
    formula="the chance that a right answer has a higher confidence than a wrong one",
    source="confidence as a classifier of correctness (Hendrycks and Gimpel 2017, arXiv:1610.02136)",
    caveat="ranks only: an overconfident model can have 1; compare it with the length baseline",
)
AURC = Meaning(
    formula="mean over all coverages of the share wrong among the most confident answers",
    source="risk-coverage curve (El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017, arXiv:1705.08500)",
    caveat="depends on the share wrong, which it is compared with: that is reached without any ranking",
    better="low",
)
LENGTH = Meaning(
    formula="the chance that a right answer has fewer words than a wrong one",
    source="length rivals elaborate detectors (Janiak et al. 2025, arXiv:2508.08285)",
    caveat="a baseline: what other signs have to beat; below 0.5 the longer answers are the right ones",
    better="",
)


def coverage_figures(asked: Sequence[Record]) -> list[Figure]:
    """How many questions were answered, and how many of the answers are wrong."""
    return [
        share("answered", "answered at all", asked, is_given, "", ANSWERED),
        share("wrong", "wrong, of these (base rate)", given(asked), is_wrong, "low", WRONG),
    ]


def confidence_figures(answers: Sequence[Record], confidence: Confidence) -> list[Figure]:
    """How far `confidence` can be trusted over these answers."""

    def squared_error(record: Record) -> float | None:
        value = confidence.value(record)
        return None if value is None else (value - is_right(record)) ** 2

    def figure(name: str, label: str, statistic: Statistic, value: Value, meaning: Meaning) -> Figure:
        formula = f"{meaning.formula}; confidence = {confidence.formula}"
        meaning = replace(meaning, formula=formula, caveat=f"{meaning.caveat}; {confidence.caveat}")
        label = f"{label} of the {confidence.name}"
        return against_right(f"{confidence.key}.{name}", label, statistic, answers, value, meaning)

    return [
        figure("ece", "ECE", "ece", confidence.value, ECE),
        figure("brier", "Brier score", "mean", squared_error, BRIER),
        figure("auroc", "AUROC", "auroc", confidence.value, AUROC),
        figure("aurc", "AURC", "aurc", confidence.value, AURC),
    ]


def length_baseline(answers: Sequence[Record]) -> Figure:
    """AUROC of the shorter answer being the right one."""
    return against_right("length.auroc", "AUROC of brevity (baseline)", "auroc", answers, brevity, LENGTH)


def against_right(
    key: str, label: str, statistic: Statistic, answers: Sequence[Record], value: Value, meaning: Meaning
) -> Figure:
    """A statistic of `value` set against whether the answer is right; answers without the value are left out."""
    valued = [(record, v) for record in answered(answers) if (v := value(record)) is not None]
    return Figure(
        key,
        label,
        statistic,
        [observed(record, v, against=is_right(record)) for record, v in valued],
        errors_in(answers),
        better=meaning.better,
        unit="number",
        meaning=meaning,
        unmeasurable="the server gave no log-probabilities" if answered(answers) and not valued else "",
    )


def given(asked: Sequence[Record]) -> list[Record]:
    """The records that answer, and those that have no reply, which figures count as errors."""
    return [record for record in asked if record.status != "ok" or is_given(record)]


def is_given(record: Record) -> bool:
    """Whether the reply is an answer: words that are no refusal."""
    return bool(record.reply.text.strip()) and record.scores["fact_outcome"] != "refused"


def is_right(record: Record) -> bool:
    return record.scores["fact_outcome"] == "right"


def is_wrong(record: Record) -> bool:
    return not is_right(record)


def brevity(record: Record) -> float:
    return -len(words(record.reply.text).split())
