"""Figures count what they are made of: answers that were read, and clusters that are independent."""

from dataclasses import replace

import pytest

from eval.figures import Figure, balanced, mean, unanswered, worst
from eval.meaning import Meaning
from eval.records import Record
from eval.replies import Answer
from eval.scores.score import Score
from eval.statistics import Observation

SECONDS = Score("seconds", lambda sample, reply: None, Meaning("", "", "", better="low", high=None))
RIGHT = Score("right", lambda sample, reply: None, Meaning("", "", ""))


def records(score, values):
    """One answered record for every value; an exception stands for one without an answer."""
    return [
        Record("t", str(n), "", 0, str(n), "", {}, "error", str(value))
        if isinstance(value, Exception)
        else Record("t", str(n), "", 0, str(n), "", {}, "ok", None, Answer("text"), {score.name: value})
        for n, value in enumerate(values)
    ]


def test_an_open_ended_score_is_measured_by_the_half_that_was_read():
    half = [1.0 + n / 100 for n in range(20)] + [None] * 20
    figure = mean("seconds", "s", records(SECONDS, half), SECONDS)
    assert (figure.n, figure.unparsed) == (20, 20)
    assert figure.estimate.value == pytest.approx(1.095)


@pytest.mark.parametrize("score", [SECONDS, RIGHT])
def test_where_nothing_was_read_that_is_the_reason(score):
    figure = mean("x", "x", records(score, [None] * 20 + [OSError()]), score)
    assert figure.why_not == "no answer could be read"


@pytest.mark.parametrize(
    ("clusters", "count", "said"),
    [(0, 0, "no answers"), (1, 1, "1 answer"), (7, 7, "7 answers"), (7, 9, "7 independent questions"), (1, 9, "1 i")],
)
def test_what_is_too_few_is_named(clusters, count, said):
    figure = Figure("x", "x", "share", [Observation(str(n), str(n % max(clusters, 1)), 1.0) for n in range(count)])
    assert figure.why_not.startswith(said)
    assert figure.why_not.endswith(", fewer than 10")


def test_the_smaller_side_of_a_comparison_decides():
    right, wrong = records(RIGHT, [True] * 30), records(RIGHT, [False] * 12)
    same_wording = [replace(record, cluster=str(n % 3)) for n, record in enumerate(wrong)]

    def holds(record):
        return record.scores["right"]

    assert balanced("b", "b", (right, holds), (wrong, holds), RIGHT.meaning).estimate.value == 0.5
    figure = balanced("b", "b", (right, holds), (same_wording, holds), RIGHT.meaning)
    assert figure.why_not == "3 independent questions, fewer than 10"


def test_the_worst_kinds_are_as_sure_as_their_clusters_are_many():
    def kind(record):
        return record.id[-1]

    def right(record):
        return record.scores["right"]

    asked = records(RIGHT, [n % 10 == 0 for n in range(300)])
    one_by_one = [replace(record, cluster=kind(record)) for record in asked]
    together = [replace(record, cluster=str(int(record.id) // 60)) for record in asked]
    few = [replace(record, cluster=str(int(record.id) // 150)) for record in asked]
    alone, sharing, unsure = (
        worst("w", of, lambda r: r.scores["right"], kind, 3) for of in (one_by_one, together, few)
    )
    assert [figure.label for figure in alone] == [figure.label for figure in sharing] == ["1", "2", "3"]
    assert alone[0].estimate.high < 0.12 < sharing[0].estimate.high
    assert unsure == worst("w", asked, right, lambda record: "", 3) == []


def test_requests_without_an_answer_are_a_share_of_all():
    figure = unanswered("unanswered", "lost", records(RIGHT, [True] * 30 + [OSError()] * 10))
    assert (figure.estimate.value, figure.n, figure.better) == (0.25, 40, "low")
