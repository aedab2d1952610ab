"""Which run, and which report, speaks for a model."""

import json
import os
from collections import Counter

import pytest

from eval.data import Inputs
from eval.newest import newest_report, newest_run
from eval.run import plan
from eval.suite import find_suite


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """Write a run under home()/reports, with the files named."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))

    def write(name, *files, seconds=0, summary=None, **identity):
        folder = tmp_path / "reports" / name
        folder.mkdir(parents=True)
        known = {"suite": "assistant", "model": "tiny", "model_sha256": "1", "plain": False, "system": None}
        (folder / "run.json").write_text(json.dumps(known | identity))
        for file in files:
            (folder / file).write_text(json.dumps(summary or {}))
            os.utime(folder / file, (seconds, seconds))
        return folder

    return write


def summary(limit=None, lost=0.0):
    """What a run of the default suite writes that asked so much, and lost this share of the answers."""
    cases = Counter(case.task for case in plan(find_suite("assistant"), Inputs(), limit=limit).cases)
    asked = cases.total()
    tasks = {name: {"cases": count} for name, count in cases.items()}
    return {"tasks": tasks, "asked": asked, "errors": round(lost * asked)}


def test_the_newest_finished_run_of_this_very_model_is_found(reports):
    whole = summary(lost=0.01)
    assert newest_run("assistant", "tiny", "1") is None
    reports("unfinished")
    reports("other", "summary.json", seconds=9, summary=whole, model_sha256="2")
    reports("plain", "summary.json", seconds=9, summary=whole, plain=True)
    reports("bluffing", "summary.json", seconds=9, summary=whole, system="You know everything.")
    old, new = (reports(name, "summary.json", seconds=at, summary=whole) for name, at in (("z", 1), ("a", 2)))
    assert newest_run("assistant", "tiny", "1") == new != old


@pytest.mark.parametrize("made", [{"limit": 5}, {"lost": 1.0}, {"lost": 0.1}])
def test_a_small_run_or_one_without_answers_speaks_for_no_model(reports, made):
    reports("poor", "summary.json", seconds=9, summary=summary(**made))
    assert newest_run("assistant", "tiny", "1") is None
    whole = reports("whole", "summary.json", seconds=1, summary=summary())
    assert newest_run("assistant", "tiny", "1") == whole


def test_the_newest_report_of_a_model_is_found_by_its_name(reports):
    (reports("broken", "report.html", seconds=9) / "run.json").write_text("[")
    reports("other", "report.html", seconds=9, model="other")
    reports("old", "report.html", seconds=1)
    new = reports("new", "report.html", seconds=2, suite="speed")
    assert newest_report("tiny") == new / "report.html"
    assert newest_report("nobody") is None
