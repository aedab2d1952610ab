"""How the report says what became of a figure: six outcomes, told apart by words and signs and not by colour alone."""

import re
from dataclasses import replace
from typing import get_args

import pytest

from eval.compare import Change, Outcome
from eval.differences import difference
from eval.figures import Figure
from eval.report.changes import NAMES, SIGNS, detail, short, sign
from eval.report.html import FOLDER
from eval.statistics import Observation

OUTCOMES = get_args(Outcome)


def seen(right, of=40):
    return [Observation(str(i), str(i), float(i < right)) for i in range(of)]


def change(outcome="none", a=30, b=32, of=40, **fields):
    figure = Figure("t.right", "right", "share", seen(b, of))
    found = difference("share", seen(a, of), seen(b, of)) if "why" not in fields else None
    return replace(Change(figure, "Facts", True, outcome, found, p=found and found.p), **fields)


def test_every_outcome_has_a_name_a_sign_and_a_colour_of_its_own():
    assert set(NAMES) == set(SIGNS) == set(OUTCOMES)
    assert len(set(NAMES.values())) == len(set(SIGNS.values())) == len(OUTCOMES)
    style = (FOLDER / "style.css").read_text()
    for outcome in OUTCOMES:
        assert re.search(rf"\.change-cell\.{outcome}\b[^{{]*{{", style), outcome


@pytest.mark.parametrize("outcome", ["better", "worse", "changed"])
def test_what_was_decided_is_said_with_its_size_and_p(outcome):
    decided = change(outcome, a=10, b=32)
    assert short(decided) == f"+55.0\xa0points, {outcome}"
    assert re.fullmatch(r"95 %: \d+\.\d to \d+\.\d; p < 0\.001", detail(decided))


def test_no_difference_found_says_what_could_have_been_seen():
    same = change()
    assert (sign(same), short(same)) == ("=", "+5.0\xa0points, no difference found")
    assert re.search(r"p = 0\.500; \d+\.\d\spoints or more would probably have been seen", detail(same))


def test_where_too_few_pairs_can_show_anything_no_size_is_claimed():
    assert "what could have been seen is not known" in detail(change(a=3, b=3, of=4))


@pytest.mark.parametrize(
    ("outcome", "why", "said"),
    [
        ("unmeasurable", "in A: no answers, fewer than 10", "in the baseline: no answers, fewer than 10"),
        ("unmeasurable", "not among the figures of B", "not among the figures of this run"),
        ("incomparable", "t was asked only in A", "t was asked only in the baseline"),
    ],
)
def test_what_could_not_be_compared_says_why_in_the_words_of_the_report(outcome, why, said):
    apart = change(outcome, why=why)
    assert short(apart) == NAMES[outcome]
    assert detail(apart) == said
