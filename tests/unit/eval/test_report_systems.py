"""The page of several systems: whole, escaped, and the same as the table."""

import re

import pytest

from eval.report.systems import SystemsPage
from eval.systems.prices import Price, Prices
from eval.systems.side_by_side import side_by_side
from serving.errors import UserError
from tests.unit.eval.almanac_runs import EXAM, invoke, replies
from tests.unit.eval.conftest import TableServer
from tests.unit.eval.report_pages import page_of
from tests.unit.eval.systems.test_side_by_side import share, system

HOSTILE = "a<b>&\"'|*"


@pytest.fixture
def runs(tmp_path, write_questions, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    questions = write_questions(EXAM)
    for name, right, model in (("low", 20, "tiny"), ("high", 50, HOSTILE), ("lost", 49, "tiny")):
        table = replies(right) | ({"Capital of Land0?": 400} if name == "lost" else {})
        with TableServer(table, models=(model,)) as server:
            asked = ("--base-url", server.base_url, "--questions", questions, "--out", tmp_path / "runs" / name)
            invoke("run", "--suite", "almanac", *asked)
    return tmp_path / "runs"


def test_the_page_is_whole_self_contained_and_escaped(runs, tmp_path):
    (tmp_path / "prices.yaml").write_text("currency: <i>\nmodels: {tiny: {input: 1, output: 2}}\n")
    assert invoke("report", runs, "--prices", tmp_path / "prices.yaml").stdout == f"{runs / 'systems.html'}\n"
    page = page_of(runs, "systems.html")
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "img", "iframe", "i", "object", "base"})
    assert all(given["href"].startswith("#") for _, given in page.elements if "href" in given)
    assert not [name for _, given in page.elements for name in given if name == "style" or name.startswith("on")]
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids))
    assert {given["href"][1:] for _, given in page.elements if "href" in given} <= set(ids)
    heads = [" ".join(text.split()) for text in page.text_of("th", scope="col")]
    assert {"A " + HOSTILE, "B lost", "C low"} <= set(heads)
    assert "Cost of the run, <i>" in page.text_of("th", scope="row")


def test_every_system_is_in_every_figure_with_its_marks_and_gaps(runs):
    invoke("report", runs)
    page = page_of(runs, "systems.html")
    (lane,) = [text for text in page.tiles() if "Known facts, unseen wordings · right" in text]
    assert re.findall(r"\b([ABC]) ?(\d+\.\d) %", lane) == [("A", "83.3"), ("B", "81.4"), ("C", "33.3")]
    assert page.text_of("span", class_="mark")[:3] == ["▲C", "▲C", ""]
    assert "B lost: 1 request without an answer" in [" ".join(text.split()) for text in page.text_of("li")]
    written = (runs / "systems.md").read_text()
    assert r"- A: a\<b\>&\"'\|\*".replace('\\"', '"') in written
    assert "▲C" in written


def test_the_same_runs_give_the_same_bytes(runs, tmp_path):
    invoke("report", runs)
    invoke("report", runs, "--out", tmp_path / "again")
    for name in ("systems.html", "systems.md"):
        assert (runs / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_runs_of_two_folders_need_a_place_for_their_report(runs, tmp_path):
    (tmp_path / "moved").mkdir()
    (runs / "low").rename(tmp_path / "moved" / "low")
    with pytest.raises(UserError, match="not in one folder: name one for the report with --out"):
        invoke("report", runs / "high", runs / "lost", tmp_path / "moved" / "low")


def verdict_of(*rights):
    table = side_by_side([system(f"m{i}", share(right)) for i, right in enumerate(rights)])
    return SystemsPage(table, [], Prices(currency="EUR", models={"m0": Price(input=0, output=0)})).verdict


def test_the_verdict_names_whom_nothing_speaks_against():
    assert verdict_of(30, 31, 29) == "No system is surely worse than another in any of the 1 headline figure."
    assert verdict_of(50, 10, 49) == (
        "In none of the 1 headline figure are A (m0) and C (m2) surely worse than another system; of the others B in 1."
    )


def test_where_all_are_beaten_somewhere_the_verdict_counts():
    first = system("first", share(50), share(10, key="t.y"))
    second = system("second", share(10), share(50, key="t.y"))
    said = SystemsPage(side_by_side([first, second]), []).verdict
    assert said == "Each system is surely worse than another somewhere in the 2 headline figures: A in 1 and B in 1."
