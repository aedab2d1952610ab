"""Inference where observations depend on each other in clusters, and where no closed form is known."""

from collections.abc import Callable, Sequence
from math import inf, nan
from typing import TYPE_CHECKING

from eval.resampling import LENGTH, VECTOR, Columns, columns, in_portions, resample, weighted
from eval.statistics import Inference, Limit, Observation, Statistic, score_limit

if TYPE_CHECKING:
    import numpy as np

LINEAR = ("share", "mean", "ratio", "perplexity")
"""Statistics that are smooth functions of two totals per cluster: their standard error has a formula."""
QUANTILES = ("median", "p95")
OfTotals = Callable[["np.ndarray"], tuple["np.ndarray", "np.ndarray"]]
"""Totals (rows, k) -> a statistic (rows,) and its gradient (rows, k)."""


def infer_by_cluster(statistic: Statistic, observations: Sequence[Observation]) -> Inference | None:
    """The statistic of observations from at least two clusters; None where it is not defined."""
    data, bounds = columns(observations), bounds_of(statistic, observations)
    clusters = int(data.cluster.max()) + 1
    if clusters < 2:
        return None
    if statistic in LINEAR:
        return _linear(statistic, data, clusters, bounds)
    if statistic == "spread" and data.group.max() == 0:
        return None
    if statistic in VECTOR:
        return _length(statistic, data, clusters, bounds)
    return _bootstrapped(statistic, data, clusters, bounds)


def bounds_of(statistic: Statistic, observations: Sequence[Observation]) -> tuple[float, float]:
    """The ends of the statistic's range, as far as they are known."""
    if statistic in ("spearman", "excess"):
        return -1.0, 1.0
    if statistic in ("share", "auroc", "balanced_accuracy", "ece", "aurc", "icat"):
        return 0.0, 1.0
    if statistic in ("mean", "spread") and all(0 <= o.value <= 1 for o in observations):
        return 0.0, 1.0
    if statistic == "ratio" and all(0 <= o.value <= o.against for o in observations):
        return 0.0, 1.0
    if statistic == "mean" and all(-1 <= o.value <= 1 for o in observations):
        return -1.0, 1.0
    return (0.0, inf) if statistic == "spread" else (-inf, inf)


def _linear(statistic: Statistic, data: Columns, clusters: int, bounds: tuple[float, float]) -> Inference | None:
    of_totals, totals = function_of_totals(statistic), cluster_totals(statistic, data, clusters)
    if totals[:, 1].sum() <= 0:
        return None
    value, error = linearised(of_totals, totals)
    if statistic == "share":
        return _clustered_share(value, error, clusters, len(data.value))
    if error == 0:
        return unvarying(value, clusters, bounds)
    if statistic == "mean":
        return Inference(value, _within(bounds, t_limit(value, error, clusters)), "cluster-robust t")
    limit = _bootstrap_t_limit(of_totals, totals, value, error)
    return Inference(value, _within(bounds, limit), "cluster bootstrap-t")


def _clustered_share(value: float, error: float, clusters: int, n: int) -> Inference:
    """Wilson's interval on the effective sample size, with t in the place of z.

    As Korn and Graubard 1998 (Survey Methodology 24:193) do with Clopper's and Dean and Pagano 2015 (J. Survey Stat.
    Methodol. 3:484) with Wilson's. At 0 and 1, where dependence cannot be seen, a cluster counts as one observation.
    """
    at_the_edge = value in (0, 1)
    effective = clusters if at_the_edge else min(n, value * (1 - value) / error**2) if error else n

    def limit(level: float) -> float:
        return score_limit(value, effective, _t_quantile(level, clusters))

    return Inference(value, limit, "Wilson, effective sample size")


def _bootstrapped(statistic: Statistic, data: Columns, clusters: int, bounds: tuple[float, float]) -> Inference | None:
    """Percentiles of the bootstrap, their narrowness in few clusters made good.

    As Hesterberg 2015 has it (The American Statistician 69:371).
    """
    import numpy as np

    value = float(weighted(statistic, data, np.ones((1, clusters), int))[0])
    draws = weighted(statistic, data, resample(clusters))
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(draws):
        return None
    pinned_by_ties = statistic in QUANTILES and np.ptp(data.value) > 0
    if np.ptp(draws) == 0 and not pinned_by_ties:
        return unvarying(value, clusters, bounds)
    mean = draws.mean()
    # A quantile is one of the values, and must not be pushed beyond the last of them.
    narrow = statistic not in QUANTILES
    widening = (clusters / (clusters - 1)) ** 0.5 * _t_quantile(0.975, clusters) / _t_quantile(0.975) if narrow else 1
    limit = _empirical_limit(np.clip(mean + (draws - mean) * widening, *bounds))
    return Inference(value, _containing(value, limit), "cluster bootstrap")


def _length(statistic: Statistic, data: Columns, clusters: int, bounds: tuple[float, float]) -> Inference:
    """The limits of a length that noise can only raise: its percentiles would call a model without fault at fault.

    They are the factors by which the vector seen may be scaled so that, with the noise of the bootstrap added, one as
    long as that seen would still be usual: a test inverted along one direction (Davison and Hinkley 1997, sec. 5.5).
    """
    import numpy as np

    length, vector = LENGTH[statistic], VECTOR[statistic]
    seen = in_portions(vector, data, np.ones((1, clusters), int))
    noise = in_portions(vector, data, resample(clusters)) - seen
    value = float(length(seen)[0])
    if np.ptp(noise) == 0 or value == 0:
        return unvarying(value, clusters, bounds)

    def limit(level: float) -> float:
        low, high = 0.0, max(1.0, 4 * float(length(noise).max()) / value)
        for _ in range(30):
            factor = (low + high) / 2
            is_longer = float((length(factor * seen + noise) >= value).mean())
            low, high = (factor, high) if is_longer < level else (low, factor)
        return min(bounds[1], value * low)

    return Inference(value, _containing(value, limit), "cluster bootstrap test, inverted")


def _within(bounds: tuple[float, float], limit: Limit) -> Limit:
    return lambda level: min(bounds[1], max(bounds[0], limit(level)))


def _containing(value: float, limit: Limit) -> Limit:
    return lambda level: min(value, limit(level)) if level < 0.5 else max(value, limit(level))


def unvarying(value: float, clusters: int, bounds: tuple[float, float]) -> Inference:
    """Where every cluster says the same: as many as could have gone unseen may be at the end of the range.

    The rule of three (Hanley and Lippman-Hand 1983, JAMA 249:1743), exact. A range without end gives no limit.
    """

    def limit(level: float) -> float:
        end, miss = (bounds[0], level) if level < 0.5 else (bounds[1], 1 - level)
        return value + (1 - miss ** (1 / clusters)) * (end - value)

    return Inference(value, limit, "rule of three")


def t_limit(value: float, error: float, clusters: int) -> Limit:
    """Student's t with one degree of freedom less than clusters (Miller 2024, arXiv:2411.00640)."""
    return lambda level: value + error * _t_quantile(level, clusters)


def _bootstrap_t_limit(of_totals: OfTotals, totals: "np.ndarray", value: float, error: float) -> Limit:
    """Studentised cluster bootstrap (Efron 1982; Hall 1988, Ann. Stat. 16:927): second-order right for ratios."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        drawn, errors = _linearised_rows(of_totals, totals, resample(len(totals)))
        # A resample of one cluster alone has no spread but that of rounding: it bounds nothing.
        errors[errors < 1e-6 * error] = 0
        studentised = (drawn - value) / errors
    quantile = _empirical_limit(studentised[~np.isnan(studentised)])
    return lambda level: value - error * quantile(1 - level)


def _empirical_limit(draws: "np.ndarray") -> Limit:
    """The quantiles of `draws`; infinite where there are too few of them to know."""
    import numpy as np

    ordered = np.concatenate([[-inf], np.sort(draws), [inf]])
    places = len(ordered) - 1

    def limit(level: float) -> float:
        return float(ordered[int(level * places) if level < 0.5 else places - int((1 - level) * places)])

    return limit


def function_of_totals(statistic: Statistic) -> OfTotals:
    """The quotient of two totals, or exp of it."""
    import numpy as np

    def quotient(totals: "np.ndarray") -> tuple["np.ndarray", "np.ndarray"]:
        value, below = totals[:, 0] / totals[:, 1], totals[:, 1]
        gradient = np.stack([1 / below, -value / below], axis=1)
        if statistic != "perplexity":
            return value, gradient
        return np.exp(value), gradient * np.exp(value)[:, None]

    return quotient


def cluster_totals(statistic: Statistic, data: Columns, clusters: int) -> "np.ndarray":
    """(clusters, 2): of the values, and of what they are divided by."""
    import numpy as np

    below = data.against if statistic in ("ratio", "perplexity") else np.ones_like(data.value)
    return np.stack([np.bincount(data.cluster, part, clusters) for part in (data.value, below)], axis=1)


def linearised(of_totals: OfTotals, totals: "np.ndarray") -> tuple[float, float]:
    """The statistic of totals (clusters, k) and its cluster-robust standard error; that of a mean is Miller's."""
    import numpy as np

    count = len(totals)
    with np.errstate(invalid="ignore", over="ignore"):
        value, gradient = of_totals(totals.sum(0, keepdims=True))
        terms = totals * gradient
        parts = terms.sum(1)
        # Rounding must not pass for variation.
        parts[np.abs(parts) <= 1e-12 * np.abs(terms).sum(1).max()] = 0
        return float(value[0]), float(np.sqrt(count / (count - 1) * (parts**2).sum()))


def _linearised_rows(
    of_totals: OfTotals, totals: "np.ndarray", drawn: "np.ndarray"
) -> tuple["np.ndarray", "np.ndarray"]:
    """`linearised` for every row of `drawn` (rows, clusters), by the second moments of the totals."""
    import numpy as np

    count, k = totals.shape
    moments = (totals[:, :, None] * totals[:, None, :]).reshape(count, k * k)
    drawn = drawn.astype(float)
    value, gradient = of_totals(drawn @ totals)
    squares = np.einsum("ri,rij,rj->r", gradient, (drawn @ moments).reshape(-1, k, k), gradient)
    return value, np.sqrt(count / (count - 1) * np.maximum(squares, 0))


def _t_quantile(level: float, clusters: float = inf) -> float:
    """Of Student's t; the normal one without `clusters`."""
    from scipy.special import ndtri, stdtrit

    if not 0 < level < 1:
        return nan
    return float(ndtri(level) if clusters == inf else stdtrit(clusters - 1, level))
