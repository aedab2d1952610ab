"""Every interval of the harness. All are 95 % unless `confidence` says otherwise, and none has width zero at 0 or 1."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, NamedTuple

CONFIDENCE = 0.95
Statistic = Literal["share", "mean", "ratio", "auroc", "balanced_accuracy"]
"""What is made of observations. share: mean of values that are 0 or 1; mean; ratio: sum of values over the sum of what
they are set against; auroc: values of those set against 1 above those set against 0; balanced_accuracy: mean of the
shares among those set against 1 and against 0."""


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


def estimate(statistic: Statistic, observations: Sequence[Observation]) -> Estimate | None:
    """The statistic with its interval, by the method that suits it; None where it is not defined."""
    values = [observation.value for observation in observations]
    if statistic == "share":
        return wilson(round(sum(values)), len(values))
    if statistic in ("mean", "ratio"):
        return _linear(values, [observation.against for observation in observations])
    sides = [[o.value for o in observations if (o.against > 0.5) == side] for side in (True, False)]
    return {"auroc": auroc, "balanced_accuracy": balanced_accuracy}[statistic](*sides)


def _linear(values: Sequence[float], against: Sequence[float]) -> Estimate | None:
    value = sum(values) / sum(against)
    return Estimate(value, value, value, len(values))


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Estimate | None:
    """A proportion with its score interval (Wilson 1927, JASA 22:209); None when there is nothing to count."""
    if n == 0:
        return None
    z = _normal_quantile(confidence)
    share, shrink = successes / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z / shrink * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)), n)


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


def auroc(positives: Sequence[float], negatives: Sequence[float], confidence: float = CONFIDENCE) -> Estimate | None:
    """The chance that a positive scores above a negative, ties counting half; chance is 0.5.

    The interval is DeLong's (1988, Biometrics 44:837) on the logit scale. Where that has no width, because the kinds
    are perfectly apart or all tied, the variance is Hanley and McNeil's, solved for the limit as Newcombe 2006 (Stat.
    Med. 25:559, method 5) does. None when one of the kinds is missing. Scores must not be NaN.
    """
    import numpy as np
    from scipy.special import expit, logit
    from scipy.stats import rankdata

    m, n = len(positives), len(negatives)
    if m == 0 or n == 0:
        return None
    ranks = rankdata([*positives, *negatives])
    above = (ranks[:m] - rankdata(positives)) / n
    below = 1 - (ranks[m:] - rankdata(negatives)) / m
    value, z = float(above.mean()), _normal_quantile(confidence)
    if value in (0.0, 1.0):
        limit = _limit_when_apart(m, n, z)
        return Estimate(value, limit, 1.0, m + n) if value else Estimate(value, 0.0, 1 - limit, m + n)
    variance = np.var(above, ddof=1) / m + np.var(below, ddof=1) / n if min(m, n) > 1 else 0.0
    variance = variance or _hanley_mcneil_variance(value, m, n)
    half = z * sqrt(variance) / (value * (1 - value))
    return Estimate(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)), m + n)


def _hanley_mcneil_variance(t: float, m: int, n: int) -> float:
    pairs = (m + n) / 2 - 1
    return t * (1 - t) * (1 + pairs * ((1 - t) / (2 - t) + t / (1 + t))) / (m * n)


def _limit_when_apart(m: int, n: int, z: float) -> float:
    """The lowest t that an observed AUROC of 1 does not contradict: (1 - t)^2 = z^2 V(t)."""
    from scipy.optimize import brentq

    return float(brentq(lambda t: (1 - t) ** 2 - z * z * _hanley_mcneil_variance(t, m, n), 0.0, 1 - 1e-9))


def _normal_quantile(confidence: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(0.5 + confidence / 2)
