"""What the report draws, and what it embeds for the page's browser of samples."""

import json
import math
import re

import pytest

from eval.figures import Figure, Section, share
from eval.meaning import Meaning
from eval.records import Record
from eval.replies import Answer, Scored
from eval.report.picture import Findings
from eval.report.pictures import calibration_pictures, concurrency_pictures
from eval.report.plots import Axis, axis_of, interval, log_axis, scale_of, share_axis, spanning
from eval.report.rewording import rewordings
from eval.report.samples import LONGEST_TEXT, Places, Texts, answer_of
from eval.report.svg import element
from eval.report.words import difference_text, interval_text, value_text
from eval.requests import Choose, chat
from eval.scores.facts import right
from eval.statistics import Estimate, Observation
from eval.task import Task, Variant


def record(id="q1", variant="", text="It is Paris.", status="ok", **fields):
    reply = Answer(text) if status == "ok" else None
    sample = {"id": id, "question": f"Question {id}?", "answers": ["Paris"], "entity": ""}
    known = Record("t", id, variant, 0, id, "", sample, status, None if reply else "HTTP 500", reply, fields)
    return known


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.912, "share", "91.2 %"),
        (-0.00001, "number", "0.000"),
        (1234.5, "number", "1,234"),
        (0.0123, "seconds", "12.3 ms"),
        (2.5, "seconds", "2.50 s"),
        (120.6, "seconds", "121 s"),
        (905303, "number", "905,303"),
        (171_990_385, "number", "172 million"),
        (-3.12e9, "number", "−3.12 billion"),
        (4.2e40, "number", "4.20e+40"),
    ],
)
def test_values_are_said_with_their_unit(value, unit, said):
    assert value_text(value, unit) == said.replace(" ", "\xa0")


def test_intervals_and_differences_are_said_with_signs_and_one_unit():
    assert interval_text(0.1, 0.25, "share") == "10.0 to 25.0\xa0%"
    assert interval_text(0.9, 1.5, "seconds") == "900\xa0ms to 1.50\xa0s"
    assert [difference_text(d, "share") for d in (0.05, -0.05, 0)] == [
        "+5.0\xa0points",
        "−5.0\xa0points",
        "0.0\xa0points",
    ]


def test_axes_hold_what_is_drawn_on_them():
    for values in ([3.2, 97], [0.004, 0.031], [-2, 5], [7, 7]):
        axis = spanning("", values, "number")
        assert axis.low <= min(values) <= max(values) <= axis.high
        assert (axis.place(axis.low), axis.place(axis.high)) == (0, 1)
        assert 2 <= len(axis.ticks) <= 7
    logarithmic = log_axis("", [0.03, 4.1], "seconds")
    assert logarithmic.low <= 0.03 < 4.1 <= logarithmic.high
    assert logarithmic.place(math.sqrt(logarithmic.low * logarithmic.high)) == pytest.approx(0.5)


def test_figures_far_apart_share_a_logarithmic_axis():
    def perplexity(value):
        seen = [Observation(str(i), str(i), math.log(value) + i % 3 / 10) for i in range(12)]
        return Figure(str(value), "p", "perplexity", seen, unit="number")

    axis = axis_of([perplexity(40), perplexity(3e8)])
    assert axis.log
    assert not axis_of([perplexity(40), perplexity(80)]).log
    assert scale_of(axis).count("million") + scale_of(axis).count("billion") == 1


def test_figures_beyond_one_get_an_axis_of_their_own():
    figures = [Figure("a", "a", "mean", [Observation(str(i), str(i), 20 + i % 3) for i in range(12)], unit="number")]
    assert axis_of(figures).high >= 22
    assert axis_of([share("s", "s", [record(str(i)) for i in range(12)], lambda r: True)]).ticks == (0, 0.5, 1)


def test_an_interval_shows_value_ends_and_baseline_in_their_places():
    drawn = interval(Estimate(0.5, 0.25, 0.75, 9), share_axis(""), ghost=Estimate(0.1, 0, 0.2, 9), tone="worse")
    assert re.search(r'x1="25%" x2="75%"[^>]*class="whisker worse"', drawn)
    assert re.search(r'cx="50%"[^>]*class="point worse"', drawn)
    assert re.search(r'cx="10%"[^>]*class="ghost-point"', drawn)
    assert "point" not in interval(None, Axis("", 0, 1, ()))


def test_markup_in_a_drawing_is_only_text():
    assert element("text", "<b>", class_='"') == '<text class="&#34;">&lt;b&gt;</text>'


def test_reliability_and_risk_are_drawn_of_their_figures_only():
    sure = [Observation(str(i), str(i), i / 40, float(i % 3 > 0)) for i in range(40)]
    figures = [Figure(name, name, name, sure, unit="number") for name in ("ece", "aurc", "auroc")]
    reliability, risk = calibration_pictures(Findings("t", [Section("Confidence", figures)], []))
    assert reliability.drawing.count('class="point plain"') == 10
    assert "32.5 %" not in risk.caption
    assert "35.0\xa0%" in risk.caption


def test_a_curve_needs_two_measurable_lanes():
    def lane(n, count):
        seen = [Observation(str(i), str(i), 0.1 * n + i / 1000) for i in range(count)]
        return Figure(f"speed.wait.{n}_in_flight.median", f"{n}", "median", seen, unit="seconds", better="low")

    lanes = [lane(1, 40), lane(4, 40)]
    (picture,) = concurrency_pictures(Findings("speed", [Section("Wait", lanes)], []))
    assert picture.title == "Wait"
    assert picture.drawing.count('class="point plain"') == 2
    assert concurrency_pictures(Findings("speed", [Section("Wait", [lane(1, 40), lane(4, 2)])], [])) == []


SHOUT = Variant("shout", lambda sample, rng: sample)
TASK = Task("t", lambda inputs: [], (right,), chat(), (SHOUT,))


def test_the_map_of_variants_has_the_worst_question_first_and_in_full():
    records = [
        record("good", right=True),
        record("good", "shout", right=True),
        record("bad", right=True),
        record("bad", "shout", "It is <Rome>.", right=False),
        record("worse", "shout", "I don't know that.", right=False),
        record("worse", text="", status="error"),
        record("lost", text="", status="error"),
        record("lost", "shout", text="", status="error"),
    ]
    (drawn,) = rewordings(TASK, records)
    cells = re.findall(r"<title>Question (\w+)\? · (\w+): (\w+)</title>", drawn.drawing)
    assert cells == [
        ("worse", "original", "error"),
        ("worse", "shout", "refused"),
        ("bad", "original", "right"),
        ("bad", "shout", "wrong"),
        ("good", "original", "right"),
        ("good", "shout", "right"),
        ("lost", "original", "error"),
        ("lost", "shout", "error"),
    ]
    assert [question for question, _ in drawn.worst] == ["Question worse?", "Question bad?"]
    assert [(a.kind, a.text, a.variants) for a in drawn.worst[1][1]] == [
        ("right", "It is Paris.", ["original"]),
        ("wrong", "It is <Rome>.", ["shout"]),
    ]


def test_a_control_that_must_not_be_rejected_is_not_drawn_as_a_miss():
    control = record("control", right=False)
    shouted = record("control", "shout", right=False)
    for one in (control, shouted):
        one.sample["premise"] = "true"
    (drawn,) = rewordings(TASK, [record("a", right=True), record("a", "shout", right=True), control, shouted])
    assert "control" not in drawn.drawing


def test_without_variants_there_is_no_map():
    assert rewordings(TASK, [record("a", right=True), record("b", right=False)]) == []


def test_a_text_is_kept_once_and_a_very_long_one_is_cut():
    texts = Texts()
    assert texts.number("a") == texts.number("a") != texts.number("b")
    texts.number("x" * (LONGEST_TEXT + 1500))
    assert texts.all()[-1].endswith("(1,500 characters more in records.jsonl)")


def test_observations_find_their_record_or_all_records_of_their_question():
    places = Places([record("a"), record("a", "shout"), record("b")])
    exact = Figure("t.x", "x", "mean", [Observation("a\tshout\t0", "a", 1.0), Observation("b\t\t0", "b", 0.0)])
    assert list(places.of(exact)) == [(0, 1), (1, 2)]
    by_question = Figure("t.y", "y", "mean", [Observation("a", "a", 1.0)])
    assert list(places.of(by_question)) == [(0, 0), (0, 1)]
    assert list(places.of(Figure("t.z", "z", "mean", [Observation("elsewhere", "nowhere", 1.0)]))) == []


def test_the_options_of_a_choice_are_shown_with_their_likelihoods():
    shown = answer_of(Scored([-3.25, -1.5], [2, 2]), Choose("Q", (" no", " yes")))
    assert shown == "     -3.250  no\n▸    -1.500  yes"


def test_infinite_values_are_words_in_the_json():
    from eval.report.samples import _members

    seen = [Observation("a\t\t0", "a", float("-inf")), Observation("b\t\t0", "b", 0.123456789)]
    meaning = Meaning("f", "s", "c")
    fields = _members(Figure("t.x", "x", "mean", seen, meaning=meaning), None, Places([record("a"), record("b")]))
    assert json.loads(json.dumps(fields, allow_nan=False))["v"] == ["-inf", 0.12346]
