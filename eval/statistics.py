"""Every interval of the harness. All are 95 % unless `confidence` says otherwise, and none has width zero at 0 or 1."""

from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite, isnan, sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
Statistic = Literal[
    "share", "mean", "ratio", "perplexity", "auroc", "balanced_accuracy", "excess", "ece", "aurc", "spearman", "spread",
    "icat", "median", "p95",
]  # fmt: skip
"""What is made of observations.

share: mean of values that are 0 or 1; mean; ratio: sum of values over the sum of what they are set against;
perplexity: exp of that ratio; auroc: values of those set against 1 above those set against 0; balanced_accuracy: mean
of the shares among those set against 1 and against 0; excess: the share among those set against 1 less that among
those set against 0; ece: confidence set against being right, 10 equal-mass bins;
aurc: area under risk by coverage, of the same; spearman: rank correlation of value and against; spread: highest less
lowest mean of a group; icat: mean value times how near the mean of what it is set against is to one half (1) and not to
0 or 1 (0); median and p95: quantiles of the value (fewer than 73 clusters cannot bound a p95 from above).
"""
CLOSED_FORM = ("share", "auroc", "balanced_accuracy", "excess")
"""Statistics with an interval of their own where all observations are independent."""
OF_RANKS = ("auroc", "spearman")
"""Statistics that an infinite value does not harm."""
Limit = Callable[[float], float]
"""Confidence -> the one-sided upper limit at it; at 0.025 and 0.975 the ends of the two-sided 95 % interval. In other
words the quantiles of the confidence distribution (Schweder and Hjort 2002, Scand. J. Stat. 29:309)."""


class Observation(NamedTuple):
    """One number that a run gives."""

    unit: str
    """The same in another run of the same task: what is paired."""
    cluster: str
    """Observations of one cluster depend on each other: clusters, not observations, are what is drawn at random."""
    value: float
    against: float = 1.0
    """What the value is set against: a denominator, or the truth."""
    group: str = ""
    """The side of a comparison inside the run: a variant, for a spread over variants."""


class Estimate(NamedTuple):
    """A value with its confidence limits, and the number of observations behind it."""

    value: float
    low: float
    high: float
    n: int


class Inference(NamedTuple):
    """A value and everything that can be said with confidence about the truth behind it."""

    value: float
    limit: Limit
    method: str


def estimate(
    statistic: Statistic, observations: Sequence[Observation], confidence: float = CONFIDENCE
) -> Estimate | None:
    """The statistic with its interval, by the method that suits it; None where it is not defined."""
    found = infer(statistic, observations)
    if found is None:
        return None
    low, high = (found.limit((1 + side * confidence) / 2) for side in (-1, 1))
    return Estimate(found.value, low, high, len(observations)) if isfinite(low) and isfinite(high) else None


def infer(statistic: Statistic, observations: Sequence[Observation]) -> Inference | None:
    """The statistic with its limits at every confidence; None where it is not defined, as for a NaN."""
    if not observations or not all(usable(statistic, observation) for observation in observations):
        return None
    clustered = len({observation.cluster for observation in observations}) < len(observations)
    if statistic in CLOSED_FORM and not clustered:
        return _closed_form(statistic, observations)
    from eval.clustered import infer_by_cluster

    found = infer_by_cluster(statistic, observations)
    return found if found and isfinite(found.value) else None


def usable(statistic: Statistic, observation: Observation) -> bool:
    """Whether the statistic can be made of such numbers."""
    value, against = observation.value, observation.against
    return isfinite(value) and isfinite(against) if statistic not in OF_RANKS else not isnan(value + against)


def _closed_form(statistic: Statistic, observations: Sequence[Observation]) -> Inference | None:
    """For observations that are all independent."""
    if statistic == "share":
        successes = round(sum(observation.value for observation in observations))
        return _from_interval(partial(wilson, successes, len(observations)), "Wilson")
    sides = [[o.value for o in observations if (o.against > 0.5) == side] for side in (True, False)]
    if not all(sides):
        return None
    if statistic == "auroc":
        return _from_interval(partial(auroc, *sides), "DeLong")
    if statistic == "excess":
        return _from_interval(partial(excess, *sides), "Newcombe")
    return _from_interval(partial(balanced_accuracy, *sides), "Wilson by class")


def _from_interval(interval: Callable[[float], Estimate], method: str) -> Inference:
    def limit(level: float) -> float:
        return interval(1 - 2 * level).low if level < 0.5 else interval(2 * level - 1).high

    return Inference(interval(CONFIDENCE).value, limit, method)


def chance_if_at_most(limit: Limit, bound: float) -> float:
    """The one-sided p-value of the hypothesis that the truth is at most `bound`: small when it is surely above."""
    from scipy.special import ndtr

    low, high = -8.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if limit(float(ndtr(middle))) <= bound else (low, middle)
    return float(ndtr(low))


def chance_if_at_least(limit: Limit, bound: float) -> float:
    """The one-sided p-value of the hypothesis that the truth is at least `bound`: small when it is surely below."""
    return chance_if_at_most(lambda level: -limit(1 - level), -bound)


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate | None:
    """A proportion with its score interval (Wilson 1927, JASA 22:209); None when there is nothing to count."""
    if n == 0:
        return None
    z, share = _normal_quantile(confidence), successes / n
    low, high = score_limit(share, n, -z), score_limit(share, n, z)
    return Estimate(share, min(share, low), max(share, high), n)


def score_limit(share: float, n: float, quantile: float) -> float:
    """The share that lies `quantile` standard errors of its own away from the one observed in `n`."""
    shrink = 1 + quantile**2 / n
    half = quantile / shrink * sqrt(share * (1 - share) / n + quantile**2 / (4 * n * n))
    return min(1.0, max(0.0, (share + quantile**2 / (2 * n)) / shrink + half))


def balanced_accuracy(
    positives: Sequence[bool], negatives: Sequence[bool], confidence: float = CONFIDENCE
) -> Estimate | None:
    """The mean of the share right among positives and the share right among negatives; chance is 0.5.

    Each sequence says which of its items were judged right. The interval joins the two Wilson intervals by the square-
    and-add method (Newcombe 1998, Stat. Med. 17:873). None when one of the kinds is missing.
    """
    first = wilson(sum(positives), len(positives), confidence)
    second = wilson(sum(negatives), len(negatives), confidence)
    if first is None or second is None:
        return None
    value = (first.value + second.value) / 2
    below = sqrt((first.value - first.low) ** 2 + (second.value - second.low) ** 2) / 2
    above = sqrt((first.high - first.value) ** 2 + (second.high - second.value) ** 2) / 2
    return Estimate(value, value - below, value + above, first.n + second.n)


def excess(treated: Sequence[float], control: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The share of ones among the treated less that among the control; 0 where the treatment does nothing.

    The interval joins two Wilson intervals (Newcombe 1998, Stat. Med. 17:873, method 10): it is that of balanced
    accuracy, where a control that is 0 is right, on another scale. None when one of the groups is missing.
    """
    found = balanced_accuracy([v > 0.5 for v in treated], [v <= 0.5 for v in control], confidence)
    return found and Estimate(*(2 * end - 1 for end in found[:3]), found.n)


def auroc(positives: Sequence[float], negatives: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The chance that a positive scores above a negative, ties counting half; chance is 0.5.

    The interval is DeLong's (1988, Biometrics 44:837) on the logit scale. Where that has no width, because the kinds
    are perfectly apart or all tied, the variance is Hanley and McNeil's, solved for the limit as Newcombe 2006 (Stat.
    Med. 25:559, method 5) does. None when one of the kinds is missing. Scores must not be NaN.
    """
    import numpy as np
    from scipy.special import expit, logit

    m, n = len(positives), len(negatives)
    if m == 0 or n == 0:
        return None
    above, below = _share_below(positives, negatives), 1 - _share_below(negatives, positives)
    value, z = float(above.mean()), _normal_quantile(confidence)
    if value in (0.0, 1.0):
        limit = _limit_when_apart(m, n, z)
        return Estimate(value, limit, 1.0, m + n) if value else Estimate(value, 0.0, 1 - limit, m + n)
    variance = np.var(above, ddof=1) / m + np.var(below, ddof=1) / n if min(m, n) > 1 else 0.0
    variance = variance or _hanley_mcneil_variance(value, m, n)
    half = z * sqrt(variance) / (value * (1 - value))
    return Estimate(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)), m + n)


def _share_below(values: Sequence[float], others: Sequence[float]) -> "np.ndarray":
    """For each value, the share of the others that are less than it, ties counting half."""
    import numpy as np

    ordered = np.sort(others)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def _hanley_mcneil_variance(t: float, m: int, n: int) -> float:
    pairs = (m + n) / 2 - 1
    return t * (1 - t) * (1 + pairs * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)


def _limit_when_apart(m: int, n: int, z: float) -> float:
    """The lowest t that an observed AUROC of 1 does not contradict: (1 - t)^2 = z^2 V(t)."""
    from scipy.optimize import brentq

    def gap(t: float) -> float:
        return (1 - t) ** 2 - z * z * _hanley_mcneil_variance(t, m, n)

    nearly_one = 1 - 1e-9
    # At no confidence to speak of the limit is the value itself.
    return float(brentq(gap, 0.0, nearly_one)) if gap(nearly_one) < 0 else 1.0


def _normal_quantile(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 2)
