"""Intervals are checked by simulation: a 95 % interval must hold the truth about 95 times in 100."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from eval.statistics import auroc, balanced_accuracy, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (20, 20), (3, 17), (912, 1000)])
def test_wilson_agrees_with_scipy(successes, n):
    ours, theirs = wilson(successes, n), binomtest(successes, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.value == successes / n
    assert ours.low <= ours.value <= ours.high
    assert ours.low < ours.high


def test_nothing_to_count_is_no_estimate():
    assert wilson(0, 0) is None
    assert balanced_accuracy([], [True]) is None
    assert auroc([1.0], []) is None


@pytest.mark.parametrize(("share", "n"), [(0.5, 60), (0.9, 60), (0.95, 300), (0.99, 300), (0.03, 200)])
def test_wilson_covers_the_truth(share, n):
    successes = np.random.default_rng(0).binomial(n, share, 4000)
    intervals = {k: wilson(int(k), n) for k in set(successes)}
    assert 0.93 <= np.mean([intervals[k].low <= share <= intervals[k].high for k in successes]) <= 0.985


@pytest.mark.parametrize(("first", "second", "n"), [(0.9, 0.3, 60), (0.98, 0.95, 100), (0.5, 0.5, 40)])
def test_balanced_accuracy_covers_the_truth(first, second, n):
    rng = np.random.default_rng(0)
    draws = (balanced_accuracy(rng.random(n) < first, rng.random(n) < second) for _ in range(2000))
    assert 0.93 <= np.mean([e.low <= (first + second) / 2 <= e.high for e in draws]) <= 0.985


def test_auroc_is_the_chance_of_a_right_order():
    assert auroc([2.0, 3.0], [0.0, 1.0]).value == 1
    assert auroc([0.0, 1.0], [2.0, 3.0]).value == 0
    assert auroc([1.0, 1.0], [1.0]).value == 0.5
    assert auroc([1.0, 3.0], [0.0, 2.0]).value == 0.75
    assert auroc([float("-inf"), 0.0], [float("-inf")]).value == 0.75


def test_perfect_separation_keeps_a_width():
    estimate = auroc([1.0] * 10, [0.0] * 10)
    assert estimate.high == 1
    assert 0.5 < estimate.low < 0.95
    assert auroc([0.0] * 10, [1.0] * 10).high == pytest.approx(1 - estimate.low)


def test_all_ties_keep_a_width():
    estimate = auroc([1.0] * 10, [1.0] * 10)
    assert estimate.value == 0.5
    assert estimate.low < 0.4 < 0.6 < estimate.high


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (1.0, 1.0), (1.5, 1.0), (1.0, 2.0), (2.5, 1.0)])
def test_auroc_covers_the_truth(shift, spread):
    rng = np.random.default_rng(0)
    truth = norm.cdf(shift / np.sqrt(1 + spread**2))
    draws = (auroc(rng.normal(shift, spread, 50), rng.normal(0, 1, 80)) for _ in range(1000))
    assert 0.92 <= np.mean([e.low <= truth <= e.high for e in draws]) <= 0.985
