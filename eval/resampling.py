"""Cluster bootstrap: what a statistic would have been, had other clusters been drawn.

The method is that of Davison and Hinkley 1997 (Bootstrap Methods and their Application, ch. 2, 3 and 5). Every
statistic here is a function of weights, the number of times that each observation was drawn: one row for each resample,
a row of ones for the sample itself. So thousands of resamples are a few operations on arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from eval.statistics import Observation

REPLICATES, FEWEST_REPLICATES = 4999, 1999
SEED = 0
CELLS_AT_ONCE = 1 << 21
CELLS_IN_ALL = 1 << 24
"""How large a matrix of weights, and of draws, may be: what bounds memory. Many clusters are drawn less often."""
ECE_BINS = 10
Weighted = Callable[["Columns", "np.ndarray"], "np.ndarray"]
"""Columns of n observations and weights (rows, n) -> the statistic of every row."""


@dataclass(frozen=True)
class Columns:
    """Observations as arrays of length n; `cluster` and `group` are numbers that count from 0."""

    value: Any
    against: Any
    cluster: Any
    group: Any


def columns(observations: Sequence["Observation"]) -> Columns:
    """The observations, column by column."""
    import numpy as np

    _, clusters, values, against, groups = zip(*observations, strict=True)
    cluster, group = (np.unique(names, return_inverse=True)[1] for names in (clusters, groups))
    return Columns(np.array(values, float), np.array(against, float), cluster, group)


def resample(clusters: int) -> "np.ndarray":
    """(replicates, clusters): how often each cluster is drawn when as many are drawn as there are; seeded."""
    import numpy as np

    replicates = max(FEWEST_REPLICATES, min(REPLICATES, CELLS_IN_ALL // clusters))
    drawn = np.random.default_rng(SEED).integers(clusters, size=(replicates, clusters))
    drawn += clusters * np.arange(replicates)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def weighted(statistic: str, data: Columns, drawn: "np.ndarray") -> "np.ndarray":
    """The statistic in every row of `drawn` (rows, clusters); not finite where it is not defined."""
    return in_portions(WEIGHTED[statistic], data, drawn)


def in_portions(function: Weighted, data: Columns, drawn: "np.ndarray") -> "np.ndarray":
    """`function` of the weights that follow from `drawn` (rows, clusters), so many rows at a time as memory allows."""
    import numpy as np

    rows = max(1, CELLS_AT_ONCE // len(data.value))
    parts = (drawn[start : start + rows][:, data.cluster] for start in range(0, len(drawn), rows))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.concatenate([function(data, part.astype(float)) for part in parts])


def _mean(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    return weights @ data.value / weights.sum(1)


def _ratio(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    return weights @ data.value / (weights @ data.against)


def _perplexity(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    import numpy as np

    return np.exp(_ratio(data, weights))


def _quantile(level: float) -> Weighted:
    """The averaged inverse of the distribution function (Hyndman and Fan 1996, type 2); at 0.5 the usual median."""

    def quantile(data: Columns, weights: "np.ndarray") -> "np.ndarray":
        import numpy as np

        order = np.argsort(data.value)
        reached, sorted_values = weights[:, order].cumsum(1), data.value[order]
        target = level * reached[:, -1:]
        at = (reached < target - 1e-9).sum(1)
        above = np.minimum((reached < target + 1e-9).sum(1), len(order) - 1)
        return (sorted_values[at] + sorted_values[above]) / 2

    return quantile


def _auroc(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    """The chance that one set against 1 is above one set against 0, ties counting half."""
    positives, negatives = (_by_tie(data.value, weights * side)[0] for side in _sides(data))
    below = negatives.cumsum(1) - negatives / 2
    return (positives * below).sum(1) / (positives.sum(1) * negatives.sum(1))


def _balanced_accuracy(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    return sum(weights @ (data.value * side) / (weights @ side) for side in _sides(data)) / 2


def _excess(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    treated, control = (weights @ (data.value * side) / (weights @ side) for side in _sides(data))
    return treated - control


def _icat(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    import numpy as np

    quality, leaning = (weights @ column / weights.sum(1) for column in (data.value, data.against))
    return quality * np.minimum(leaning, 1 - leaning) / 0.5


def _sides(data: Columns) -> tuple["np.ndarray", "np.ndarray"]:
    positive = data.against > 0.5
    return positive.astype(float), (~positive).astype(float)


def _gaps(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    """(rows, bins): mean confidence less share correct in equal-mass bins, times the mass of a bin.

    What straddles the edge of two bins counts in both by its parts, and equal confidences are spread evenly, so that
    the order of the observations does not matter.
    """
    import numpy as np

    mass, excess = _by_tie(data.value, weights, weights * (data.value - data.against))
    reached, total = (np.pad(part.cumsum(1), ((0, 0), (1, 0))) for part in (mass, excess))
    shares = np.linspace(0, 1, ECE_BINS + 1)
    return np.diff([np.interp(shares * x[-1], x, y) / x[-1] for x, y in zip(reached, total, strict=True)], axis=1)


def _aurc(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    """Mean over k of the share wrong among the k most confident (Geifman et al. 2019); ties in every order alike."""
    import numpy as np

    mass, wrong = _by_tie(-data.value, weights, weights * (1 - data.against))
    reached, wrong_before = mass.cumsum(1), wrong.cumsum(1) - wrong
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, reached[:, -1].max() + 1))])
    rate = np.divide(wrong, mass, out=np.zeros_like(wrong), where=mass > 0)
    start = reached - mass
    growth = harmonic[reached.astype(int)] - harmonic[start.astype(int)]
    return ((wrong_before - rate * start) * growth + wrong).sum(1) / reached[:, -1]


def _spearman(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    """The correlation of the ranks of value and against, equal ones sharing their mean rank."""
    first, second = (_centred_ranks(column, weights) for column in (data.value, data.against))
    spread = (weights * first**2).sum(1) * (weights * second**2).sum(1)
    return (weights * first * second).sum(1) / spread**0.5


def _centred_ranks(column: "np.ndarray", weights: "np.ndarray") -> "np.ndarray":
    import numpy as np

    (mass,) = _by_tie(column, weights)
    ranks = mass.cumsum(1) - mass / 2 - weights.sum(1, keepdims=True) / 2
    return ranks[:, np.unique(column, return_inverse=True)[1]]


def _deviations(data: Columns, weights: "np.ndarray") -> "np.ndarray":
    """(rows, groups): the mean of each group less the mean of these; 0 for a group that was not drawn."""
    import numpy as np

    member = np.eye(data.group.max() + 1)[data.group]
    means = weights @ (data.value[:, None] * member) / (weights @ member)
    return np.nan_to_num(means - np.nanmean(means, 1, keepdims=True))


def _by_tie(column: "np.ndarray", *weights: "np.ndarray") -> list["np.ndarray"]:
    """Each of the weights (rows, n) summed over equal entries of `column`, in ascending order of it."""
    import numpy as np

    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], column[order][1:] != column[order][:-1]]))
    return [np.add.reduceat(matrix[:, order], starts, axis=1) for matrix in weights]


LENGTH: dict[str, Callable[["np.ndarray"], "np.ndarray"]] = {
    "ece": lambda gaps: abs(gaps).sum(1),
    "spread": lambda deviations: deviations.max(1) - deviations.min(1),
}
"""Statistics that are the length of a vector, in some sense of length: (rows, k) -> (rows,). Noise makes them longer.

ece: the expected calibration error (Naeini et al. 2015; bins of equal mass as in HELM); spread: highest less lowest
mean, FormatSpread (Sclar et al. 2023, arXiv:2310.11324).
"""
VECTOR: dict[str, Weighted] = {"ece": _gaps, "spread": _deviations}
WEIGHTED: dict[str, Weighted] = {
    "share": _mean,
    "mean": _mean,
    "ratio": _ratio,
    "perplexity": _perplexity,
    "auroc": _auroc,
    "balanced_accuracy": _balanced_accuracy,
    "excess": _excess,
    "icat": _icat,
    "ece": lambda data, weights: LENGTH["ece"](_gaps(data, weights)),
    "aurc": _aurc,
    "spearman": _spearman,
    "spread": lambda data, weights: LENGTH["spread"](_deviations(data, weights)),
    "median": _quantile(0.5),
    "p95": _quantile(0.95),
}


def spread_without_effect(observations: Sequence["Observation"], replicates: int = 1000) -> tuple[float, float] | None:
    """The spread that chance alone makes when groups make no difference: its mean, and what it exceeds 1 time in 20.

    Group labels are permuted within clusters, as exchangeable under no effect (Good 2005, Permutation Tests). None
    without observations, or when one is not finite.
    """
    import numpy as np

    if not observations or not all(isfinite(observation.value) for observation in observations):
        return None
    data, rng = columns(observations), np.random.default_rng(SEED)
    labels = np.eye(data.group.max() + 1)[data.group[np.argsort(data.cluster, kind="stable")]]
    spreads = []
    for _ in range(replicates):
        shuffled = np.lexsort((rng.random(len(data.value)), data.cluster))
        means = data.value[shuffled] @ labels / labels.sum(0)
        spreads.append(means.max() - means.min())
    return float(np.mean(spreads)), float(np.quantile(spreads, 0.95))
