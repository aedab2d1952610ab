"""Two runs of a real server, compared from their folders; and the command that prints what was found."""

import json
import re
from dataclasses import replace

import pytest

from eval.compare import compare
from eval.figures import Figure, Section
from eval.result import read_result
from eval.statistics import Observation
from serving.errors import UserError
from tests.unit.eval.almanac_runs import fact, invoke, replies
from tests.unit.eval.test_likelihood_servers import CharacterServer


def changes(a, b, **options):
    return {change.key: change for change in compare(read_result(a), read_result(b), **options)}


def test_better_worse_and_no_difference(run_of, tmp_path):
    a, b = run_of("a", replies(right=30, refused=60)), run_of("b", replies(right=58, refused=40))
    found = changes(a, b)
    assert found["almanac.fact.right"].outcome == "better"
    assert found["almanac.fact.right"].difference.difference == pytest.approx(28 / 60)
    assert found["almanac.made_up.refused"].outcome == "worse"
    assert found["almanac.no_call"].outcome == "none"
    assert changes(b, a)["almanac.fact.right"].outcome == "worse"


def test_the_table_says_what_could_have_been_seen(run_of, tmp_path):
    a, b = run_of("a", replies(right=50)), run_of("b", replies(right=51))
    result = invoke("compare", a, b, "--json", tmp_path / "found.json")
    assert result.exit_code == 0
    seen = r"no difference found \(12\.9\spoints or more would probably have been seen\)"
    assert re.search(rf"almanac.fact.right +83\.3 % +85\.0 % +\+1\.7 .+ 1\.000  {seen}", result.stdout)
    assert "almanac.no_call" not in result.stdout
    everything = invoke("compare", a, b, "--all").stdout
    unseen = r"not measured in both runs \(in A: no answers, fewer than 10\)"
    assert re.search(rf"almanac\.near_miss\.refused +{unseen}", everything)
    figures = json.loads((tmp_path / "found.json").read_text())["figures"]
    assert figures["almanac.fact.right"]["mde"] > 0.05
    assert figures["almanac.fact.right"]["method"] == "exact McNemar"


def test_other_questions_are_not_comparable(run_of):
    a = run_of("a", replies(50))
    b = run_of("b", replies(50), [fact(i) for i in range(20)])
    with pytest.raises(
        UserError, match=r"cannot be compared: samples_sha256 differs: not the same questions \(almanac"
    ):
        compare(read_result(a), read_result(b))


def test_another_prompt_is_comparable_on_demand_only(run_of):
    a, b = run_of("a", replies(30)), run_of("b", replies(50))
    identity = json.loads((b / "run.json").read_text())
    identity["tasks"]["almanac"]["requests_sha256"] = "0" * 64
    (b / "run.json").write_text(json.dumps(identity))
    with pytest.raises(UserError, match=r"requests_sha256 differs: the same questions, with another prompt"):
        compare(read_result(a), read_result(b))
    assert changes(a, b, across_prompts=True)["almanac.fact.right"].outcome == "better"
    assert "better" in invoke("compare", a, b, "--across-prompts").stdout


def test_errors_are_unmatched_and_too_many_are_no_comparison(run_of):
    few = {f"Capital of Land{i}?": 400 for i in range(5)}
    many = {f"Capital of Land{i}?": 400 for i in range(40)}
    a, b, c = run_of("a", replies(50)), run_of("b", replies(50) | few), run_of("c", replies(60) | many)
    found = changes(a, b)["almanac.fact.right"]
    assert (found.difference.n, found.difference.unmatched_a, found.difference.unmatched_b) == (55, 5, 0)
    assert "5 only in A" in invoke("compare", a, b).stdout
    lost = changes(a, c)["almanac.fact.right"]
    assert (lost.outcome, lost.why) == ("incomparable", "only 20 of 60 answers are in both")


def with_figures(result, *figures):
    """The result as if these were all that it found."""
    other = replace(result)
    other.__dict__["sections"] = [Section("all", figures)]
    return other


def test_headlines_are_adjusted_by_holm_and_the_rest_by_benjamini_hochberg(run_of):
    run = read_result(run_of("a", replies(50)))
    rows = [Observation(str(i), str(i), 0.0) for i in range(60)]
    gained = [row._replace(value=float(i < 8)) for i, row in enumerate(rows)]
    headlines = run.suite.headlines[:3]
    keys = (*headlines, "almanac.other", "almanac.another")
    sides = [with_figures(run, *(Figure(key, key, "share", o) for key in keys)) for o in (rows, gained)]
    found = compare(*sides)
    raw = 2 * 0.5**8
    assert [change.key for change in found] == list(keys)
    assert [change.p for change in found] == pytest.approx([3 * raw] * 3 + [raw] * 2)


@pytest.mark.parametrize(("better", "outcome"), [("high", "better"), ("low", "worse"), ("", "changed")])
def test_direction_is_the_figures_own(run_of, better, outcome):
    run = read_result(run_of("a", replies(50)))
    rows = [Observation(str(i), str(i), i % 7.0) for i in range(60)]
    more = [row._replace(value=row.value + 1 + i % 2) for i, row in enumerate(rows)]
    sides = [with_figures(run, Figure("almanac.x", "x", "mean", o, better=better)) for o in (rows, more)]
    assert compare(*sides)[0].outcome == outcome


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        invoke("compare", tmp_path, tmp_path)


def test_options_scored_by_letters_are_not_compared_with_likelihoods(tmp_path):
    rows = [{"question": f"{n} is", "choices": [f"good {n}", f"bad {n}"], "answer": 0} for n in range(12)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "pairs", "data": "pairs.jsonl", "kind": "choose", "scores": ["right_option"]}
    (tmp_path / "ours.yaml").write_text(json.dumps({"name": "ours", "tasks": [task]}))
    for name, server in (("a", CharacterServer()), ("b", CharacterServer(echoes=False, said="A"))):
        with server:
            invoke(
                *("run", "tiny", "--base-url", server.base_url, "--suite", tmp_path / "ours.yaml"),
                *("--out", tmp_path / name),
            )
    with pytest.raises(UserError, match=r"options were scored by likelihood in A and by letters in B \(pairs\)"):
        compare(read_result(tmp_path / "a"), read_result(tmp_path / "b"), across_prompts=True)
    assert changes(tmp_path / "a", tmp_path / "a")["pairs.right_option"].outcome == "none"
