"""The report at a glance: one tile a question, everything else folded, and an answer to whether it may go out."""

import json
import re

import pytest

from eval.report.areas import AREAS, area_of, askable, in_order
from eval.suite import find_suite, suite_names
from tests.unit.eval.almanac_runs import fact, invoke, replies
from tests.unit.eval.report_pages import page_of

OURS = """
name: {name}
tasks:
  - {{name: {name}, data: exam.jsonl, scores: [right], variants: [{{case: upper}}, {{case: lower}}]}}
"""


@pytest.fixture
def report(tmp_path):
    """The page of a run, against a baseline if one is given."""

    def write(run, baseline=None):
        against = ("--baseline", baseline) if baseline else ()
        invoke("report", run, *against, "--out", tmp_path / "page")
        return page_of(tmp_path / "page")

    return write


@pytest.fixture
def ours(serve_table, tmp_path, monkeypatch):
    """The run of suites of one's own with these names."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(fact(i)) + "\n" for i in range(20)))
    known = replies(20)
    server = serve_table(known | {change(asked): known[asked] for asked in known for change in (str.upper, str.lower)})

    def run(*names):
        for name in names:
            (tmp_path / f"{name}.yaml").write_text(OURS.format(name=name))
        suites = [part for name in names for part in ("--suite", tmp_path / f"{name}.yaml")]
        assert invoke("run", "--base-url", server.base_url, *suites, "--out", tmp_path / "-".join(names)).exit_code == 0
        return tmp_path / "-".join(names)

    return run


def test_every_suite_of_the_project_has_a_place_in_the_report():
    placed = {name for names in AREAS.values() for name in names}
    assert set(suite_names()) - {"assistant", "judge"} <= placed
    assert set(askable()) <= set(AREAS)


def test_the_tasks_of_a_suite_that_joins_others_are_shown_by_what_they_are_about():
    areas = {area_of(task.name, ["assistant"]) for task in find_suite("assistant").tasks}
    assert {"Quality", "Hallucination", "Rewording", "Tools", "Speed"} <= areas
    assert {area_of(task.name, ["robustness"]) for task in find_suite("robustness").tasks} == {"Rewording"}


def test_areas_have_one_order_with_the_users_own_first():
    assert in_order(["Speed", "ours", "Quality"]) == ["ours", "Quality", "Speed"]


def test_a_tile_says_value_interval_change_and_number_of_answers(run_of, report):
    page = report(run_of("b", replies(20)), run_of("a", replies(50)))
    (said,) = page.tiles()
    assert "33.3 % ▼ −50.0 points, worse" in said
    assert re.search(r"95 %: 22\.\d to 45\.\d %", said)
    assert "n 60" in said
    assert re.search(r"▼ \d+ worse", said)


@pytest.mark.parametrize(
    ("right", "lost", "answer"),
    [
        (20, 0, "Not as it is"),
        (50, 0, "Nothing found against it, as far as was measured"),
        (60, 0, "Nothing found against it, as far as was measured"),
        (60, 5, "It cannot be told yet"),
    ],
)
def test_whether_it_may_go_out_is_answered_with_what_is_not_known(run_of, report, right, lost, answer):
    gone = {f"Capital of Land{i}?": 400 for i in range(lost)}
    page = report(run_of("b", replies(right) | gone), run_of("a", replies(50)))
    tones = ("worse", "better", "none", "mixed", "unknown")
    assert [text for tone in tones for text in page.text_of("p", class_=f"ship {tone}")] == [f"Ship it? {answer}."]


def test_without_a_baseline_nothing_is_said_about_going_out(run_of, report):
    assert "Ship" not in report(run_of("a", replies(50))).to_read


def test_what_was_not_measured_is_said_in_one_line_above_everything_that_unfolds(run_of, report):
    (said,) = report(run_of("a", replies(50))).text_of("p", class_="gaps")
    assert said.startswith("Not measured: Hallucination, ")
    assert "(not asked in this run)" in said


def test_a_suite_of_ones_own_has_a_tile_by_its_name(ours, report):
    (tile,) = report(ours("capitals")).tiles()
    assert tile.startswith("capitals 100.0 % ")


def test_another_suite_adds_a_tile_and_a_line_to_what_there_is_to_read(ours, report):
    one, three = report(ours("first")), report(ours("first", "second", "third"))
    assert (len(one.tiles()), len(three.tiles())) == (1, 3)
    assert (len(three.to_read) - len(one.to_read)) / 2 < 60
    folded = sum(map(len, three.text_of("details", class_="area")))
    assert folded > 3 * len(" ".join(three.to_read)) / 2


def test_a_link_to_what_is_folded_away_leads_into_it(run_of, report):
    page = report(run_of("a", replies(50)))
    assert 'closest("details")' in page.text_of("script")[-1]
    places = {given["id"] for tag, given in page.elements if tag == "details" and "id" in given}
    heads = [given["href"][1:] for tag, given in page.elements if tag == "a" and given["href"].startswith("#area-")]
    assert set(heads) <= places
    assert heads
