"""Several systems in one table: what its marks and intervals promise, by simulation, and what cannot be compared."""

import random
from pathlib import Path

import pytest

from eval.compare import compare
from eval.figures import Figure, Section
from eval.result import Result
from eval.statistics import Observation
from eval.suite import Suite
from eval.systems.side_by_side import side_by_side, together
from eval.systems.table import render
from serving.errors import UserError

HASHES = {"samples_sha256": "s", "requests_sha256": "r", "cases": 0}


def system(name, *figures, headlines=None, **hashes):
    """The result of a run of one task `t` that found just these figures."""
    identity = {"suite": "s", "model": name, "model_sha256": name, "plain": False, "skipped": {}}
    identity |= {"tasks": {"t": HASHES | hashes}}
    result = Result(Path(name), identity, Suite("s", "", (), headlines or [figure.key for figure in figures]), [])
    result.__dict__["sections"] = [Section("Facts", figures)] if figures else []
    return result


def figure(values, key="t.x", **fields):
    seen = [Observation(str(i), str(i), float(value)) for i, value in enumerate(values)]
    return Figure(key, key.split(".")[1], **{"statistic": "share", "observations": seen} | fields)


def share(right, of=60, key="t.x", **fields):
    return figure([i < right for i in range(of)], key, **fields)


def test_marks_name_the_systems_that_are_surely_worse():
    table = side_by_side([system("low", share(10)), system("high", share(50)), system("same", share(49))])
    (line,) = table.lines
    assert [cell.better_than for cell in line.cells] == ["", "A", "A"]
    assert [line.is_beaten(one) for one in table.systems] == [True, False, False]
    assert [(pair.first.letter, pair.second.letter) for pair in line.undecided] == [("B", "C")]
    assert table.tests == 3
    shown = render(table)
    assert "▲A" in shown
    assert "A  low, suite s, low" in shown


def test_low_is_better_and_no_end_is_better():
    low = side_by_side([system(n, share(right, better="low")) for n, right in (("a", 10), ("b", 50))])
    assert [cell.better_than for cell in low.lines[0].cells] == ["B", ""]
    neither = side_by_side([system(n, share(right, better="")) for n, right in (("a", 10), ("b", 50))])
    assert [(cell.better_than, cell.differs_from) for cell in neither.lines[0].cells] == [("", "B"), ("", "A")]


def test_two_systems_are_told_apart_exactly_where_compare_tells_them_apart():
    rng = random.Random(0)
    for _ in range(20):
        rights = [rng.randint(20, 40) for _ in range(6)]
        first, second = (
            system(name, *(share(right, key=f"t.{i}") for i, right in enumerate(rights[start::2])))
            for start, name in enumerate("ab")
        )
        table, changes = side_by_side([first, second]), {change.key: change for change in compare(first, second)}
        for line in table.lines:
            (pair,) = line.pairs
            assert (pair.change.p, pair.change.outcome) == (changes[line.key].p, changes[line.key].outcome)


def noisy(rng, systems, questions=40, keys=("t.x", "t.y"), lift=0.0):
    """Systems that are alike but for chance; all find the same questions hard. The last one is `lift` better."""
    results = []
    hard = {key: [rng.gauss(0, 1) for _ in range(questions)] for key in keys}
    for number in range(systems):
        more = lift if number == systems - 1 else 0.0
        found = [
            figure([h + more + rng.gauss(0, 1) for h in hard[key]], key, statistic="mean", unit="number")
            for key in keys
        ]
        results.append(system(f"m{number}", *found))
    return results


def test_systems_that_are_alike_are_rarely_told_apart_anywhere_in_the_table():
    rng, tables = random.Random(1), 120
    found = [side_by_side(noisy(rng, 4)) for _ in range(tables)]
    alarms = sum(any(cell.better_than for line in table.lines for cell in line.cells) for table in found)
    single = sum(any(pair.change.difference.p < 0.05 for line in table.lines for pair in line.pairs) for table in found)
    assert alarms <= 13  # 5 % of 120, and three standard deviations
    assert single > 30  # without the adjustment


def test_a_system_that_is_better_is_found():
    rng = random.Random(2)
    found = [side_by_side(noisy(rng, 4, lift=1.5)).lines[0].cells[-1].better_than for _ in range(20)]
    assert found.count("ABC") >= 18


def test_the_intervals_of_a_line_hold_together():
    rng, lines, systems, truth, n = random.Random(3), 200, 5, 0.7, 80
    held = alone = 0
    for _ in range(lines):
        shares = [figure([rng.random() < truth for _ in range(n)]) for _ in range(systems)]
        widened = [together(one, systems) for one in shares]
        held += all(one.low <= truth <= one.high for one in widened)
        alone += all(one.estimate.low <= truth <= one.estimate.high for one in shares)
    assert held >= 0.93 * lines
    assert alone < 0.9 * lines


def test_the_intervals_of_all_differences_hold_together():
    rng, tables = random.Random(4), 80
    held = 0
    for _ in range(tables):
        pairs = [pair for line in side_by_side(noisy(rng, 4, questions=30)).lines for pair in line.pairs]
        held += all(low <= 0 <= high for low, high in (pair.interval for pair in pairs))
    assert held >= 0.9 * tables


def test_a_system_that_was_asked_something_else_is_set_apart_and_says_so():
    other = system("other", share(50), samples_sha256="z")
    table = side_by_side([system("a", share(30)), system("b", share(30)), other])
    assert [cell.is_apart for cell in table.lines[0].cells] == [False, False, True]
    assert "×" in render(table)
    last = table.lines[0].pairs[-1]
    assert (last.first.letter, last.second.letter, last.interval) == ("B", "C", None)
    assert "samples_sha256 differs" in last.change.why


def test_why_a_pair_cannot_be_compared_names_its_own_letters():
    few = system("few", share(2, of=3))
    table = side_by_side([system("a", share(30)), system("b", share(30)), few])
    assert [pair.change.why for pair in table.lines[0].pairs[1:]] == ["in C: 3 answers, fewer than 10"] * 2
    assert table.lines[0].cells[2].why_not == "3 answers, fewer than 10"
    assert "C: 3 answers, fewer than 10" in render(table)


def test_runs_of_different_questions_are_no_table():
    runs = [system(name, share(30), samples_sha256=name) for name in "abc"]
    with pytest.raises(UserError, match=r"cannot be compared \(samples_sha256 differs: not the same questions \(t\)\)"):
        side_by_side(runs)


def test_a_run_that_is_named_twice_is_a_mistake():
    run = system("a", share(30))
    with pytest.raises(UserError, match="is named twice"):
        side_by_side([run, run])


def test_runs_of_one_model_are_called_by_their_folders():
    runs = [system(name, share(30)) for name in ("first", "second")]
    for run in runs:
        run.identity["model"] = "almanac"
    assert [one.name for one in side_by_side(runs).systems] == ["first", "second"]
    for run, vendor in zip(runs, "ab", strict=True):
        run.identity["model"] = f"{vendor}/almanac"
    assert [one.name for one in side_by_side(runs).systems] == ["first", "second"]


def test_a_name_that_the_user_gave_is_kept():
    run = system("model", share(30))
    run.identity["called"] = "big"
    assert [one.name for one in side_by_side([run, system("other", share(30))]).systems] == ["big", "other"]


def test_a_headline_that_only_one_system_has_is_shown_and_not_tested():
    table = side_by_side([system("a", share(30), share(20, key="t.y")), system("b", share(30))])
    assert [cell.why_not for cell in table.lines[1].cells] == ["", "not asked"]
    assert table.tests == 1


def test_what_all_answer_alike_may_still_hide_a_difference():
    line = side_by_side([system("a", share(60)), system("b", share(60))]).lines[0]
    assert line.unseen > 0.05
    assert "could hide" in render(side_by_side([system("a", share(60)), system("b", share(60))]))
