"""Tests of hypotheses are themselves tested: by enumeration, against references, and by simulated runs."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from benchmarks.false_alarms import same_model_twice
from eval.differences import benjamini_hochberg, difference, holm, minimum_detectable_effect
from eval.statistics import Observation, chance_if_at_least, chance_if_at_most


def observed(values, against=None, clusters=None, groups=None):
    n = len(values)
    against = np.ones(n) if against is None else against
    clusters = range(n) if clusters is None else clusters
    groups = [""] * n if groups is None else groups
    rows = zip(clusters, values, against, groups, strict=True)
    return [Observation(f"u{i}", f"c{c}", float(v), float(a), g) for i, (c, v, a, g) in enumerate(rows)]


def tally(gained, lost, n):
    """Runs A and B of n questions, of which B alone answers `gained` and A alone `lost`."""
    a = [0] * gained + [1] * lost + [1] * (n - gained - lost)
    b = [1] * gained + [0] * lost + [1] * (n - gained - lost)
    return observed(a), observed(b)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (2, 3), (6, 0), (4, 1), (5, 5), (9, 2)])
def test_mcnemar_is_the_share_of_sign_patterns_that_are_as_extreme(gained, lost):
    patterns = list(product((0, 1), repeat=gained + lost))
    as_extreme = [p for p in patterns if abs(2 * sum(p) - len(p)) >= abs(gained - lost)]
    assert difference("share", *tally(gained, lost, 20)).p == pytest.approx(len(as_extreme) / len(patterns))


def test_every_field_of_a_difference():
    found = difference("share", *tally(12, 8, 100))
    assert (found.value_a, found.value_b) == (0.88, 0.92)
    assert found.difference == pytest.approx(0.04)
    assert found.low < 0 < found.high
    assert (found.n, found.clusters, found.unmatched_a, found.unmatched_b) == (100, 100, 0, 0)
    assert found.method == "exact McNemar"
    assert found.p == pytest.approx(binomtest(12, 20).pvalue)


def test_the_score_interval_has_a_width_where_no_pair_differs():
    none = difference("share", *tally(0, 0, 43))
    z2 = 1.959964**2
    assert (none.low, none.high) == pytest.approx((-z2 / (43 + z2), z2 / (43 + z2)), abs=1e-6)
    one = difference("share", *tally(0, 1, 43))
    assert one.low < -1 / 43 < one.high


def test_the_reference_of_miller():
    """n = 100 with a fifth of the pairs discordant: 12.5 points; n = 1000: 4.0."""
    assert difference("share", *tally(10, 10, 100)).mde == pytest.approx(0.125, abs=0.0005)
    assert difference("share", *tally(100, 100, 1000)).mde == pytest.approx(0.040, abs=0.0005)


def test_paired_cluster_t_is_students_where_clusters_are_of_one():
    rng = np.random.default_rng(0)
    a, d = rng.normal(size=30), rng.normal(0.3, 1, size=30)
    found = difference("mean", observed(a), observed(a + d))
    reference = ttest_1samp(d, 0)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-6)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval()))


def test_repeating_every_question_four_times_is_no_more_evidence():
    rng = np.random.default_rng(1)
    a, b = rng.random(40), rng.random(40)
    once = difference("mean", observed(a), observed(b))
    clusters = np.repeat(np.arange(40), 4)
    often = difference(
        "mean", observed(np.repeat(a, 4), clusters=clusters), observed(np.repeat(b, 4), clusters=clusters)
    )
    assert (often.low, often.high, often.p) == pytest.approx((once.low, once.high, once.p))
    assert (often.n, often.clusters) == (160, 40)


def test_only_what_both_have_is_compared():
    a, b = observed([1, 0, 1, 0] * 5), observed([1, 1, 1, 0] * 5)
    found = difference("share", a[2:], b[:-1])
    assert (found.n, found.unmatched_a, found.unmatched_b) == (17, 1, 2)


@pytest.mark.parametrize("statistic", ["share", "mean", "ratio", "perplexity", "ece", "aurc", "spread", "median"])
def test_nothing_to_pair_is_no_difference(statistic):
    rows = observed([1, 0, 1, 0], [1, 1, 1, 0], groups="abab")
    elsewhere = [row._replace(unit=f"other {row.unit}") for row in rows]
    assert difference(statistic, [], []) is None
    assert difference(statistic, rows, elsewhere) is None
    assert difference(statistic, rows[:1], rows[:1]) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("statistic", ["mean", "ratio", "perplexity", "median", "spread"])
def test_what_is_not_finite_is_no_difference(statistic, bad):
    values = [0.1 * i for i in range(20)]
    assert difference(statistic, observed(values), observed([*values[:-1], bad])) is None


STATISTICS = ("share", "mean", "ratio", "perplexity", "ece", "aurc", "spread", "median", "auroc", "spearman")


@pytest.mark.parametrize("statistic", STATISTICS)
def test_equal_runs_do_not_differ_and_are_no_proof_of_equality(statistic):
    rng = np.random.default_rng(2)
    right = (rng.random(40) < 0.7).astype(float)
    values = right if statistic == "share" else rng.random(40)
    rows = observed(values, right if statistic not in ("ratio", "perplexity") else 1 + values, groups="abcd" * 10)
    found = difference(statistic, rows, rows)
    assert (found.difference, found.p) == (0, pytest.approx(1))
    assert found.mde is None or found.mde > 0.05
    assert (found.low is None and found.high is None) or found.low < 0 < found.high


def test_a_shift_of_all_pairs_that_has_no_bound_is_judged_by_its_signs():
    rows = observed(np.arange(10.0))
    found = difference("mean", rows, observed(np.arange(10.0) + 2))
    assert found.method == "sign test"
    assert found.p == pytest.approx(2 * 0.5**10, rel=1e-3)
    assert (found.low, found.high, found.mde) == (None, None, None)


def test_one_sided_chances_follow_the_limits():
    rng = np.random.default_rng(3)
    d = rng.normal(0.2, 1, 50)
    found = difference("mean", observed(np.zeros(50)), observed(d))
    assert chance_if_at_most(found.limit, 0.1) == pytest.approx(ttest_1samp(d, 0.1, alternative="greater").pvalue)
    assert chance_if_at_least(found.limit, 0.1) == pytest.approx(ttest_1samp(d, 0.1, alternative="less").pvalue)


def test_holm_against_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_rejects_what_closed_testing_with_bonferroni_does():
    rng = np.random.default_rng(4)
    for _ in range(50):
        p = rng.random(5) ** 2
        subsets = [[i for i in range(5) if bits[i]] for bits in product((0, 1), repeat=5) if any(bits)]
        closed = [max(min(1, len(s) * min(p[s])) for s in subsets if i in s) for i in range(5)]
        assert holm(list(p)) == pytest.approx(closed)


def test_benjamini_hochberg_uses_true_ranks():
    rng = np.random.default_rng(5)
    p = rng.random(20) ** 3
    by_hand = [min(20 * other / sum(p <= other) for other in p if other >= mine) for mine in p]
    assert benjamini_hochberg(list(p)) == pytest.approx(np.minimum(by_hand, 1))
    assert benjamini_hochberg([]) == []


def test_ten_thousand_runs_of_the_same_model_raise_few_false_alarms():
    """Five figures each of 200 binary answers, which chance alone makes differ; before Holm and after."""
    rng = np.random.default_rng(6)
    counts = rng.multinomial(200, (0.1, 0.1, 0.8), size=(10_000, 5))
    p_of = {
        (g, lost): difference("share", *tally(g, lost, 200)).p
        for g, lost in {tuple(pair) for pair in counts[:, :, :2].reshape(-1, 2)}
    }
    alarms, after = 0, 0
    for run in counts:
        p = [p_of[g, lost] for g, lost in run[:, :2]]
        alarms += sum(one < 0.05 for one in p)
        after += min(holm(p)) < 0.05
    assert 0.02 < alarms / 50_000 <= 0.057
    assert 0.01 < after / 10_000 <= 0.057


@pytest.mark.parametrize(
    ("statistic", "runs"),
    [("share", 1000), ("mean", 1000), ("ratio", 1000), ("auroc", 200), ("ece", 100), ("spread", 200), ("median", 200)],
)
def test_the_same_model_again_raises_few_false_alarms_whatever_the_statistic(statistic, runs, few_replicates):
    rng = np.random.default_rng(7)
    alarms = sum(difference(statistic, *same_model_twice(statistic, rng, 40)).p < 0.05 for _ in range(runs))
    # Three standard errors of the simulation above 5 %.
    assert alarms / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(("statistic", "runs"), [("share", 800), ("mean", 800), ("ratio", 500)])
def test_the_minimum_detectable_effect_is_found_four_times_in_five(statistic, runs, few_replicates):
    rng = np.random.default_rng(8)
    found = 0
    if statistic == "share":
        n, discordant = 400, 0.2
        effect = minimum_detectable_effect(math.sqrt(discordant / n), n, True)
        gains = (discordant + effect) / 2
        tallies = rng.multinomial(n, (gains, discordant - gains, 1 - discordant), size=runs)
        found = sum(difference("share", *tally(g, lost, n)).p < 0.05 for g, lost, _ in tallies)
    else:
        n, below = 100, 2 + np.cos(np.arange(100))
        effect = minimum_detectable_effect(1 / math.sqrt(n), n, False)
        for _ in range(runs):
            before = rng.normal(size=n)
            after = before + rng.normal(effect, 1, n)
            found += difference(statistic, observed(before, below), observed(after, below)).p < 0.05
    assert 0.75 <= found / runs <= 0.85


def test_few_pairs_that_are_all_equal_could_not_have_shown_a_small_effect():
    n = 30
    effect = difference("share", *tally(0, 0, n)).mde
    rng = np.random.default_rng(9)
    gained = rng.binomial(n, effect, 4000)
    power = np.mean([binomtest(int(g), int(g)).pvalue < 0.05 if g else False for g in gained])
    assert power == pytest.approx(0.8, abs=0.03)
    assert difference("share", *tally(0, 0, 5)).mde is None
