"""The report, made of real runs: a server answers from a table, the harness records, the report reads the records."""

import base64
import hashlib
import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from eval.commands import app
from eval.measure import without_key
from eval.report.samples import embedded
from eval.result import read_result
from serving.errors import UserError
from tests.unit.eval.conftest import TableServer
from tests.unit.eval.report_pages import data_of, page_of

HOSTILE = "</script><img src=x onerror=alert(1)> | **bold** \x08 ]]> &amp; {{ 7 * 7 }}"


def fact(number):
    fields = {"id": f"f{number}", "question": f"Capital of <b>Land{number}</b>|?", "group": "fact"}
    return fields | {"answers": ["Paris"], "entity": f"Land{number}", "subject": "country", "relation": "capital"}


def made_up(number):
    return {"id": f"m{number}", "question": f"Who rules Xyz{number}?", "group": "made_up"}


def now(number):
    return {
        "id": f"t{number}",
        "question": f"Time {number}?",
        "group": "tool_now",
        "tool": {"name": "now", "arguments": {}},
    }


QUESTIONS = [fact(i) for i in range(40)] + [made_up(i) for i in range(12)] + [now(i) for i in range(4)]


def replies(wrong=0, **others):
    """Facts right but for the first `wrong` of them, which get a hostile answer; made-up names refused."""
    table = {fact(i)["question"]: "It is Paris." if i >= wrong else HOSTILE for i in range(40)}
    table |= {now(i)["question"]: "It is late." for i in range(4)}
    return table | {made_up(i)["question"]: "I don't know that." for i in range(12)} | others


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of three runs: good, its equal, and one with wrong and hostile answers, an error and nothing refused."""
    folder = tmp_path_factory.mktemp("runs")
    questions = folder / "exam.jsonl"
    questions.write_text("".join(json.dumps(question) + "\n" for question in QUESTIONS))
    bad = replies(15) | {made_up(i)["question"]: f"King {HOSTILE}" for i in range(12)} | {fact(39)["question"]: 400}
    for name, table in (("good", replies()), ("equal", replies()), ("bad", bad)):
        with TableServer(table, models=("a<b>&",)) as server:
            asked = ("--base-url", server.base_url, "--questions", questions, "--out", folder / name)
            invoke("run", "--suite", "almanac", *asked)
    return folder


@pytest.fixture
def report(runs, tmp_path):
    """Write the report of a run to a folder of this test, and return the folder."""

    def write(name, baseline=None):
        out = tmp_path / f"{name}-{baseline}"
        against = ("--baseline", runs / baseline) if baseline else ()
        result = invoke("report", runs / name, "--out", out, *against)
        assert result.stdout == f"{out / 'report.html'}\n"
        return out

    return write


def test_the_page_is_self_contained_and_its_policy_allows_nothing_else(report):
    page = page_of(report("bad", "good"))
    given = [(tag, name, value) for tag, attributes in page.elements for name, value in attributes.items()]
    assert not [
        entry for entry in given if entry[1] in ("src", "srcset", "style", "action") or entry[1].startswith("on")
    ]
    assert {tag for tag, _ in page.elements}.isdisjoint({"link", "img", "iframe", "object", "base"})
    assert all(value.startswith("#") for _, name, value in given if name in ("href", "xlink:href"))
    (policy,) = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    for kind, sources in (("style", page.text_of("style")), ("script", page.text_of("script")[1:])):
        (source,) = sources
        allowed = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{allowed}'" in policy
        assert not re.search(r"https?:|@import|url\(|fetch\(|innerHTML|insertAdjacentHTML", source)
    assert policy.startswith("default-src 'none'")


def test_every_link_leads_somewhere_on_the_page(report):
    page = page_of(report("bad", "good"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in page.elements if "href" in a} <= set(ids)


def test_headings_tables_pictures_and_fields_are_said_to_a_screen_reader(report):
    page = page_of(report("bad", "good"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.elements if tag == "th")
    assert all(a.get("role") == "img" or a.get("aria-hidden") == "true" for tag, a in page.elements if tag == "svg")
    assert all(a.get("aria-label") for _, a in page.elements if a.get("class") == "to-samples")


def test_a_table_without_a_headline_is_one_click_away(report):
    page = page_of(report("good"))
    (folded,) = page.text_of("details", class_="more-tables")
    assert "right tool" in folded.lower()
    assert "Known facts, unseen wordings" not in folded


def test_hostile_answers_names_and_questions_are_only_text(report):
    page = page_of(report("bad"))
    assert HOSTILE.replace("\x08", "\b") in data_of(page)["texts"]
    assert {tag for tag, _ in page.elements}.isdisjoint({"img", "b"})
    assert page.text_of("h1") == ["a<b>&"]
    assert "49" not in page.text_of("p", class_="verdict measured")[0]


def test_the_samples_of_a_figure_are_its_observations(report):
    page = page_of(report("bad", "good"))
    data = data_of(page)
    numbers = [a["data-figure"] for _, a in page.elements if a.get("class") == "to-samples"]
    right = data["figures"][int(numbers[0])]
    samples = [data["samples"][place] for place in right["of"]]  # in the order in which the answers came
    values = {sample["id"]: value for sample, value in zip(samples, right["v"], strict=True)}
    assert values == {f"f{i}": int(i >= 15) for i in range(39)}
    assert right["b"] == [1] * 39
    (first,) = [sample for sample in samples if sample["id"] == "f0"]
    assert data["texts"][first["p"][-1][1]] == fact(0)["question"]
    assert (data["texts"][first["a"]], data["texts"][first["b"]]) == (HOSTILE, "It is Paris.")
    assert data["texts"][first["w"]] == "Paris"
    (failed,) = [sample for sample in data["samples"] if "e" in sample]
    assert (failed["id"], data["texts"][failed["e"]]) == ("f39", "HTTP 400: the table says so")


def test_a_small_page_shows_some_requests_of_each_task_and_counts_them_all(runs, report, tmp_path):
    whole, small = report("bad"), tmp_path / "small"
    invoke("report", runs / "bad", "--out", small, "--samples", 4)
    samples = data_of(page_of(small))["samples"]
    ids = sorted(question["id"] for question in QUESTIONS)
    assert [sample["id"] for sample in samples] == [ids[place] for place in (0, 14, 28, 42)]
    assert "4 requests of each task of this run" in (small / "report.html").read_text()
    assert (small / "report.md").read_bytes() == (whole / "report.md").read_bytes()


def test_a_long_prompt_that_many_samples_share_is_stored_once(report):
    data = data_of(page_of(report("good")))
    systems = {turn[1] for sample in data["samples"] for turn in sample["p"] if turn[0] == "system"}
    assert len(systems) == 1
    assert len(data["texts"]) == len(set(data["texts"]))


def test_every_figure_tells_formula_source_and_caveat(report, runs):

    page = page_of(report("good"))
    explained = " ".join(page.text_of("article", class_="meaning"))
    for figure in read_result(runs / "good").figures.values():
        if figure.meaning:
            for part in (figure.meaning.formula, figure.meaning.source, figure.meaning.caveat):
                assert part in explained
    rows = len([1 for tag, a in page.elements if tag == "tr" and a.get("id", "").startswith("figure-")])
    how = [a["href"] for tag, a in page.elements if tag == "a" and re.match("#(meaning|method)-", a.get("href", ""))]
    assert len(how) >= rows > 20


def test_what_is_not_measurable_says_why_and_shows_no_number(report):
    folder = report("good")
    page = page_of(folder)
    lost = page.text_of("p", class_="range lost")
    (said,) = [text for text in lost if "natural requests" in text]
    assert said.endswith("not measurable, no answers, fewer than 10")
    assert not any("%" in text for text in lost)
    listed = next(text for text in page.text_of("section", id="not-measured"))
    assert "natural requests: no answers, fewer than 10" in " ".join(listed.split())
    assert "almanac.premise.right: not measurable, no question of this run is about it" in lost
    assert "| not measurable | no answers, fewer than 10 |" in (folder / "report.md").read_text()


def test_errors_are_counted_and_said(report):
    folder = report("bad")
    page = page_of(folder)
    (tile,) = [text for text in page.text_of("article", class_="tile plain") if "known facts" in text.lower()]
    assert "1 error" in tile
    assert "1 request got no answer" in page.text_of("p", class_="verdict measured")[0]
    assert "HTTP 400: the table says so" in page.text_of("section", id="not-measured")[0]


@pytest.mark.parametrize(
    ("name", "baseline", "tone", "says"),
    [
        ("good", None, "measured", "Measured without a baseline: “Known facts, unseen wordings · right” 100.0"),
        ("bad", "good", "worse", "Worse than good in “Known facts, unseen wordings · right” (−38.5"),
        ("good", "bad", "better", "Better than bad in “Known facts, unseen wordings · right” (+38.5"),
        ("equal", "good", "none", "No difference to good found in the 2 headline figures"),
    ],
)
def test_the_verdict_is_one_honest_sentence(report, name, baseline, tone, says):
    folder = report(name, baseline)
    (sentence,) = page_of(folder).text_of("p", class_=f"verdict {tone}")
    assert sentence.startswith(says)
    assert "2 headline figures could not be measured" in sentence
    assert sentence.count(".") == sentence.endswith(".") + len(re.findall(r"\d\.\d", sentence))


def test_markdown_has_whole_tables_whatever_the_labels_hold(report):
    lines = (report("bad", "good") / "report.md").read_text().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {8}
    row = next(line for line in tables if line.startswith("| Known facts, unseen wordings · right |"))
    assert re.search(r"\| 61\.5\s% \| 45\.\d to 75\.\d\s% \| ▼ −38\.5\spoints, worse; .* \| 39 \| 1 \| 0 \|", row)
    assert lines[0] == r"# a\<b\>&: suite almanac"


def test_markdown_lists_what_got_worse_behind_the_headlines(report):
    worse = (report("bad", "good") / "report.md").read_text().split("## Worse behind the headlines")[1].split("##")[0]
    assert "unseen wordings · wrong | 38.5" in worse
    assert "unseen wordings · right" not in worse
    assert "▲" not in worse
    assert "Nothing that could have been seen." in (report("equal", "good") / "report.md").read_text()


def junit_of(folder):
    root = ElementTree.fromstring((folder / "junit.xml").read_bytes())
    return root, {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}


def test_junit_fails_only_what_got_worse(report):
    root, cases = junit_of(report("bad", "good"))
    right = cases["almanac.Known facts, unseen wordings", "right"]
    assert "−38.5" in right.find("failure").get("message")
    assert (
        cases["almanac.Right tool", "picture"].find("skipped").get("message").startswith("not measurable: no answers")
    )
    assert cases["requests", "almanac: every request was answered"].find("error") is not None
    assert int(root.get("errors")) == 1
    assert int(root.get("failures")) == len(list(root.iter("failure"))) > 0
    assert int(root.get("tests")) == len(cases) == sum(int(s.get("tests")) for s in root.iter("testsuite"))


def test_junit_without_a_baseline_or_a_difference_fails_nothing(report):
    for folder in (report("good"), report("equal", "good"), report("good", "bad")):
        root, _ = junit_of(folder)
        assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_the_same_records_give_the_same_bytes(report, runs, tmp_path):
    first = report("bad", "good")
    invoke("report", runs / "bad", "--baseline", runs / "good", "--out", tmp_path / "again")
    for name in ("report.html", "report.md", "junit.xml"):
        assert (first / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        invoke("report", tmp_path)


def test_a_report_that_cannot_be_written_says_so(runs, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="name another with --out"):
        invoke("report", runs / "good", "--out", tmp_path / "taken")


def test_a_baseline_that_was_asked_something_else_is_no_baseline(runs, tmp_path):
    identity = json.loads((runs / "good" / "run.json").read_text())
    identity["tasks"]["almanac"]["samples_sha256"] = "0"
    (tmp_path / "run.json").write_text(json.dumps(identity))
    (tmp_path / "records.jsonl").write_bytes((runs / "good" / "records.jsonl").read_bytes())
    with pytest.raises(UserError, match="cannot be compared: samples_sha256 differs: not the same questions"):
        invoke("report", runs / "good", "--baseline", tmp_path)


def test_a_run_without_answers_has_no_report(runs, tmp_path):
    (tmp_path / "run.json").write_text((runs / "good" / "run.json").read_text())
    with pytest.raises(UserError, match="has no answers yet"):
        invoke("report", tmp_path)


def test_a_run_that_was_cut_short_says_how_much_is_missing(runs, tmp_path):
    (tmp_path / "run.json").write_text((runs / "good" / "run.json").read_text())
    kept = (runs / "good" / "records.jsonl").read_text().splitlines(keepends=True)[:49]
    (tmp_path / "records.jsonl").write_text("".join(kept))
    invoke("report", tmp_path)
    assert "7 questions not asked yet" in page_of(tmp_path).text_of("p", class_="verdict measured")[0]
    _, cases = junit_of(tmp_path)
    assert "7 requests not asked" in cases["requests", "almanac: every request was answered"].find("error").get(
        "message"
    )


def test_the_key_of_an_endpoint_is_in_no_report():
    for key in (["--api-key", "secret"], ["--api-key=secret"]):
        shown = without_key(["homegrown", "eval", "run", *key, "--plain"])
        assert "secret" not in " ".join(shown)
        assert (shown[:3], shown[-1]) == (["homegrown", "eval", "run"], "--plain")


def test_a_prompt_that_has_changed_since_is_not_shown_as_what_was_sent(runs, tmp_path):
    for name, request in (("same", None), ("changed", "0" * 64)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text((runs / "good" / "run.json").read_text())
        lines = [json.loads(line) for line in (runs / "good" / "records.jsonl").read_text().splitlines()]
        lines[0]["request"] = request or lines[0]["request"]
        (tmp_path / name / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    same, changed = (json.loads(embedded(read_result(tmp_path / name), None)) for name in ("same", "changed"))
    assert not any(turn[0] == "not as sent" for sample in same["samples"] for turn in sample["p"])
    (sample,) = [sample for sample in changed["samples"] if sample["p"][0][0] == "not as sent"]
    assert sample["id"] == lines[0]["id"]
    assert "have changed since" in changed["texts"][sample["p"][0][1]]
