"""The search for a good prompt: what it asks, what it saves, and how often it errs, against models of known skill."""

from collections import Counter

import pytest

from eval.prompting.race import FINALISTS, SEARCH, part, search_blocks
from eval.prompting.technique import REFERENCE
from tests.unit.eval.prompting_runs import raced, samples, task_of

NAMES = [f"t{number}" for number in range(5)]
QUESTIONS = 120
EQUAL = {REFERENCE: 0.5}
REPLICAS, MOST_ALARMS = 100, 12
"""A rate of 5 % gives more in so many replicas 1 time in 650; benchmarks/prompting_search.py counts them closely."""


@pytest.fixture(scope="module")
def cases():
    """Of the task with the search (False) and without it (True)."""
    return {full: list(task_of(NAMES, full).cases(samples(QUESTIONS))) for full in (True, False)}


def outcomes(cases, skills, replicas, full=False):
    return [raced(task_of(NAMES, full), cases[full], skills, seed) for seed in range(replicas)]


def test_few_techniques_or_questions_are_not_searched():
    assert search_blocks(1 + FINALISTS, 300) == 0
    assert search_blocks(12, 59) == 0
    assert search_blocks(12, 300) == 2


def test_blocks_share_no_cluster_and_the_last_is_the_largest():
    clusters = [f"c{number // 3}" for number in range(300)]
    blocks = part(clusters, 2)
    assert all(len({b for c, b in zip(clusters, blocks, strict=True) if c == name}) == 1 for name in set(clusters))
    sizes = Counter(blocks)
    assert sizes[0] + sizes[1] == pytest.approx(SEARCH * 300, abs=3)
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=4)
    assert part(clusters, 0) == [0] * 300


def test_finalists_are_judged_by_questions_that_chose_nobody(cases):
    (comparison, requests), *_ = outcomes(cases, EQUAL, 1)
    searched = {cell.first.id for row in comparison.table.values() for cell in row.values() if cell.block == 0}
    assert comparison.finalists[0] == REFERENCE
    assert len(comparison.finalists) == 1 + FINALISTS
    fresh = {cell.first.id for name in comparison.finalists for cell in comparison.fresh(name)}
    assert fresh
    assert not fresh & searched
    assert requests == comparison.planned - comparison.left_out
    assert all(len(comparison.seen(name)) < QUESTIONS / 2 for name in comparison.dropped)


def test_equal_prompts_raise_no_more_alarms_than_nominal(cases):
    replicas = [comparison for comparison, _ in outcomes(cases, EQUAL, REPLICAS)]
    alarms = [any(c.p < 0.05 for c in comparison.contrasts.values()) for comparison in replicas]
    warnings = [any(c.is_worse for c in comparison.warnings.values()) for comparison in replicas]
    held = [all(c.low <= 0 <= c.high for c in comparison.contrasts.values()) for comparison in replicas]
    assert 0 < sum(alarms) <= MOST_ALARMS
    assert sum(warnings) <= MOST_ALARMS
    assert sum(held) >= REPLICAS - MOST_ALARMS


def test_the_search_finds_what_asking_everything_finds_for_fewer_requests(cases):
    skills = EQUAL | {"t4": 0.85}
    searched, everything = (outcomes(cases, skills, 10, full) for full in (False, True))
    assert sum(a.best == b.best == "t4" for (a, _), (b, _) in zip(searched, everything, strict=True)) >= 9
    assert max(requests for _, requests in searched) < 0.8 * min(requests for _, requests in everything)


def test_a_worse_prompt_is_found_by_asking_everything_and_dropped_by_the_search(cases):
    skills = EQUAL | {"t2": 0.1}
    everything, searched = (outcomes(cases, skills, 10, full) for full in (True, False))
    assert all(comparison.contrasts["t2"].p < 0.01 for comparison, _ in everything)
    assert all(comparison.contrasts["t2"].is_worse for comparison, _ in everything)
    assert all("t2" in comparison.dropped and comparison.best != "t2" for comparison, _ in searched)
