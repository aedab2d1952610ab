"""Can a confidence be trusted? The curves behind ECE and AURC, for drawing and for the statistics.

Observations hold a confidence from 0 to 1 as their value, and set it against 1 for a correct answer and 0 for a wrong
one. Nothing here depends on the order of the observations: equal confidences are taken together.
"""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from typing import NamedTuple

from eval.statistics import Estimate, Observation, wilson

BINS = 10


class Bin(NamedTuple):
    """One point of a reliability diagram."""

    n: float
    """How many observations; equal confidences that straddle the edge of two bins count in both by their parts."""
    confidence: float
    """The mean."""
    accuracy: Estimate
    """The share that is correct, with its Wilson interval."""


class Point(NamedTuple):
    """One point of a risk-coverage curve: among the `coverage` most confident answers the share `risk` is wrong."""

    coverage: float
    risk: float


def reliability_bins(observations: Sequence[Observation], bins: int = BINS) -> list[Bin]:
    """Bins of equal mass from the least to the most confident; none without observations.

    Equal masses keep every bin filled where a model is sure of nearly everything (Nixon et al. 2019, arXiv:1904.01685).
    """
    width, filled = len(observations) / bins, [[0.0, 0.0, 0.0] for _ in range(bins)]
    reached = 0
    for confidence, tied in groupby(sorted(observations, key=_confidence), key=_confidence):
        correct = [observation.against for observation in tied]
        start, reached = reached, reached + len(correct)
        for place in range(int(start / width), min(bins, ceil(reached / width))):
            mass = max(0.0, min(reached, (place + 1) * width) - max(start, place * width))
            filled[place][0] += mass
            filled[place][1] += mass * confidence
            filled[place][2] += mass * sum(correct) / len(correct)
    return [Bin(mass, sure / mass, wilson(right, mass)) for mass, sure, right in filled if mass]


def risk_coverage_curve(observations: Sequence[Observation]) -> list[Point]:
    """Risk at every coverage that a threshold on the confidence can reach (El-Yaniv and Wiener 2010, JMLR 11:1605)."""
    points, taken, wrong = [], 0, 0
    for _, tied in groupby(sorted(observations, key=_confidence, reverse=True), key=_confidence):
        errors = [observation.against <= 0.5 for observation in tied]
        taken, wrong = taken + len(errors), wrong + sum(errors)
        points.append(Point(taken / len(observations), wrong / taken))
    return points


def _confidence(observation: Observation) -> float:
    return observation.value
