"""`eval run --models` and what follows: real servers, one of them dead, from the command line."""

import json
import re

import pytest
import yaml

from serving.errors import UserError
from tests.unit.eval.almanac_runs import EXAM, invoke, replies


@pytest.fixture
def asking(serve_table, write_questions, tmp_path, monkeypatch):
    """Run the almanac's exam on these `--models`, in `runs`."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    questions = write_questions(EXAM)

    def ask(models, suite="almanac"):
        asked = ("--suite", suite, "--questions", questions, "--out", tmp_path / "runs")
        return invoke("run", "--models", models, *asked)

    return ask


@pytest.fixture
def three(asking, serve_table, tmp_path):
    """The runs of a good, an equal and a bad system."""
    servers = [serve_table(replies(right)) for right in (55, 54, 20)]
    systems = zip(("good", "equal", "bad"), servers, strict=True)
    assert asking(",".join(f"{name}={server.base_url}" for name, server in systems)).exit_code == 0
    return tmp_path / "runs"


def test_each_system_has_a_run_and_all_are_compared(three):
    assert sorted(path.parent.name for path in three.glob("*/summary.json")) == ["bad", "equal", "good"]
    shown = invoke("compare", three).stdout
    assert re.findall(r"^([ABC])  (\w+),", shown, re.MULTILINE) == [("A", "bad"), ("B", "equal"), ("C", "good")]
    row = next(line for line in shown.splitlines() if line.strip().startswith("almanac.fact.right"))
    assert re.findall(r"[\d.]+\s%(?: ▲\w+)?", row.replace("\xa0", " ")) == ["33.3 %", "90.0 % ▲A", "91.7 % ▲A"]


def test_a_key_goes_to_its_own_endpoint_only(asking, serve_table, monkeypatch, tmp_path):
    monkeypatch.setenv("FIRST_KEY", "first-secret")
    monkeypatch.setenv("HOMEGROWN_API_KEY", "home-secret")
    first, second = serve_table(replies(50)), serve_table(replies(50))
    assert asking(f"a={first.base_url}#tiny@FIRST_KEY,b={second.base_url}#tiny").exit_code == 0
    assert set(first.keys) == {"Bearer first-secret"}
    assert set(second.keys) == {None}
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "runs").rglob("*.json*"))


def test_one_system_that_is_gone_does_not_lose_the_others_and_is_asked_when_it_is_back(
    asking, serve_table, unused_port, tmp_path
):
    first, last = serve_table(replies(50)), serve_table(replies(51))
    result = asking(f"a={first.base_url},gone=http://127.0.0.1:{unused_port}/v1#m,z={last.base_url}")
    assert result.exit_code == 6
    assert "homegrown: gone: The endpoint" in result.stderr
    assert "not measured to the end: gone" in result.stdout
    assert "almanac.fact.right" in result.stdout
    asked = len(first.log)
    back = serve_table(replies(52))
    again = asking(f"a={first.base_url},gone={back.base_url},z={last.base_url}")
    assert (again.exit_code, len(first.log), len(back.log)) == (0, asked, asked)


def test_an_unknown_model_in_the_list_is_said_before_anything_is_asked(asking, serve_table):
    server = serve_table(replies(50))
    with pytest.raises(UserError, match="no model folder nobody"):
        asking(f"a={server.base_url},nobody")
    assert server.log == []


def test_an_unknown_suite_is_said_before_any_system_is_tried(asking, serve_table):
    server = serve_table(replies(50))
    with pytest.raises(UserError, match="There is no suite 'nosuch'"):
        asking(f"a={server.base_url},b={server.base_url}", suite="nosuch")
    assert server.log == []


def test_models_and_a_model_are_a_contradiction(tmp_path):
    with pytest.raises(UserError, match="leave the model and --base-url out"):
        invoke("run", "almanac", "--models", "a,b", "--out", tmp_path)


def test_costs_stand_below_the_table_and_in_the_json(three, tmp_path):
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump({"currency": "EUR", "models": {"good": {"input": 1, "output": 3}}}))
    shown = invoke("compare", three, "--prices", prices, "--json", tmp_path / "all.json").stdout
    assert "cost, EUR" in shown
    assert shown.count("no price") == 2
    found = json.loads((tmp_path / "all.json").read_text())
    (good,) = [one for one in found["systems"].values() if one["name"] == "good"]
    assert good["total"] == pytest.approx((good["prompt_tokens"] + 3 * good["completion_tokens"]) / 1e6)
    assert found["figures"]["almanac.fact.right"]["pairs"]["C-A"]["outcome"] == "better"
    assert "tokens in" in invoke("compare", three / "good", three / "bad", "--prices", prices).stdout


def test_one_run_has_nothing_to_be_compared_with(three):
    with pytest.raises(UserError, match="name two or more"):
        invoke("compare", three / "good")


def test_a_baseline_or_prices_that_have_no_meaning_are_refused(three, tmp_path):
    with pytest.raises(UserError, match="--baseline is for one run"):
        invoke("report", three, "--baseline", three / "good")
    with pytest.raises(UserError, match="--prices compares costs"):
        invoke("report", three / "good", "--prices", tmp_path / "p.yaml")
