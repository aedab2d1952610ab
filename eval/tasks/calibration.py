"""Calibration: does the probability of an answer say whether it is right? From records of the almanac's exam."""

import math
from collections.abc import Sequence

from eval.figures import Section
from eval.records import Record
from eval.tasks.confidence import Confidence, confidence_figures, coverage_figures, given, length_baseline

ASKED = ("fact", "withheld_attribute", "withheld_entity")
"""What was taught and what was not; any answer about a withheld entity counts as wrong, for the exam has no value."""


def probability(record: Record) -> float | None:
    """exp(mean log-probability of the answer's tokens), from 0 to 1; None where the server sent none."""
    mean = record.reply.logprob_mean
    return None if mean is None else math.exp(mean)


PROBABILITY = Confidence(
    "probability",
    "probability",
    formula="exp(mean log-probability of the answer's tokens) (Malinin and Gales 2021, arXiv:2002.07650)",
    caveat="the words around the value, which are sure, raise it",
    value=probability,
)


def calibration(records: Sequence[Record]) -> list[Section]:
    """How far the probability of an answer can be trusted, over known and withheld facts."""
    asked = [record for record in records if record.sample["group"] in ASKED]
    answers = given(asked)
    figures = [*coverage_figures(asked), *confidence_figures(answers, PROBABILITY), length_baseline(answers)]
    return [Section("Calibration on known and withheld facts", figures).of_task("calibration")]
