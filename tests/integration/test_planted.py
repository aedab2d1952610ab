"""Four planted defects, in real checkpoints behind a real vLLM: each is found by its suite, at its default size."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from eval.commands import app
from serving.text_engine import TextEngine
from tests.planted import (
    WORSE_PROMPT,
    facts,
    write_brittle,
    write_broken,
    write_exam,
    write_healthy,
    write_misinformed,
)

CERTAIN = 0.01
FACTS, UNANSWERED = "knowledge.fact.right", "knowledge.unanswered"
REWORDED = "robustness.right.variant.reword-1"
ALL_AT_ONCE = 512
"""In flight: an answer whose probabilities are NaN runs to its token limit before vLLM finds that it cannot say so."""


@pytest.fixture(scope="module", autouse=True)
def without_public_sets() -> Iterator[None]:
    """The planted exam alone: public sets are asked alike under any system prompt, so something could be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HOMEGROWN_DATA", raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the models, their exam and the runs."""
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def exam(folder: Path) -> Path:
    return write_exam(folder / "exam.jsonl")


@pytest.fixture(scope="module")
def healthy(folder: Path) -> Path:
    return write_healthy(folder / "healthy")


@pytest.fixture(scope="module")
def baseline(healthy: Path, exam: Path, folder: Path) -> Path:
    """Runs of the healthy model: by each suite, and by the first under the worse system prompt."""
    runs = folder / "baseline"
    with served(healthy) as base_url:
        ask(base_url, exam, runs / "hallucination", "hallucination")
        ask(base_url, exam, runs / "robustness", "robustness")
        ask(base_url, exam, runs / "worse-prompt", "hallucination", "--system", WORSE_PROMPT)
    return runs


@contextmanager
def served(model: Path) -> Iterator[str]:
    with TextEngine(str(model), dtype="float32") as engine:
        yield engine.base_url


def homegrown_eval(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ask(base_url: str, exam: Path, out: Path, suite: str, *options: object, code: int = 0) -> None:
    arguments = ("--base-url", base_url, "--suite", suite, "--questions", exam, "--out", out, *options)
    asked = homegrown_eval("run", *arguments)
    assert asked.exit_code == code, asked.output


def found(a: Path, b: Path, key: str, *options: object) -> dict:
    """What `eval compare` says of one figure."""
    out = b.parent / f"{b.name}.json"
    compared = homegrown_eval("compare", a, b, "--json", out, *options)
    assert compared.exit_code == 0, compared.output
    change = json.loads(out.read_text())["figures"][key]
    # Shown with -s: the table of benchmarks/LOG.md.
    print(f"\n{b.name}: {key} {change['value_a']:.3f} -> {change['value_b']:.3f}, p {change['p_adjusted']:.2g}")
    return change


def gate(rule: str, run: Path, baseline: Path, *options: object) -> int:
    rules = run.parent / "rules.yaml"
    rules.write_text(yaml.safe_dump({"rules": [rule]}))
    return homegrown_eval("gate", rules, run, "--baseline", baseline, *options).exit_code


def value(run: Path, key: str) -> float | None:
    return json.loads((run / "summary.json").read_text())["figures"][key]["value"]


def test_the_healthy_model_knows_its_facts(baseline: Path):
    assert value(baseline / "hallucination", FACTS) > 0.97
    assert value(baseline / "robustness", REWORDED) > 0.9


def test_ten_percent_wrong_facts_are_found(healthy: Path, baseline: Path, exam: Path, folder: Path):
    run = folder / "misinformed-run"
    with served(write_misinformed(healthy, folder / "misinformed")) as base_url:
        ask(base_url, exam, run, "hallucination")
    change = found(baseline / "hallucination", run, FACTS)
    assert change["outcome"] == "worse"
    assert change["p_adjusted"] < CERTAIN
    assert change["difference"] == pytest.approx(-0.1, abs=0.04)
    assert gate(f"{FACTS} >= baseline - 0.02", run, baseline / "hallucination") == 1


def test_brittleness_to_one_wording_is_found(healthy: Path, baseline: Path, exam: Path, folder: Path):
    run = folder / "brittle-run"
    with served(write_brittle(healthy, folder / "brittle")) as base_url:
        ask(base_url, exam, run, "robustness")
    change = found(baseline / "robustness", run, REWORDED)
    assert change["outcome"] == "worse"
    assert change["p_adjusted"] < CERTAIN
    assert gate(f"{REWORDED} >= baseline - 0.1", run, baseline / "robustness") == 1
    as_asked = found(baseline / "robustness", run, "robustness.right.variant.original")
    assert as_asked["outcome"] == "none"


def test_a_worse_system_prompt_is_found(baseline: Path):
    before, after = baseline / "hallucination", baseline / "worse-prompt"
    change = found(before, after, FACTS, "--across-prompts")
    assert change["outcome"] == "worse"
    assert change["p_adjusted"] < CERTAIN
    assert gate(f"{FACTS} >= baseline - 0.02", after, before, "--across-prompts") == 1


def test_prompts_that_differ_are_not_compared_by_accident(baseline: Path):
    compared = homegrown_eval("compare", baseline / "hallucination", baseline / "worse-prompt")
    assert compared.exit_code != 0
    assert "requests_sha256" in str(compared.exception)


@pytest.fixture(scope="module")
def broken(healthy: Path, folder: Path) -> Path:
    return write_broken(healthy, folder / "broken")


def test_weights_that_are_no_numbers_have_no_likelihoods(broken: Path, exam: Path, folder: Path):
    task = {
        "name": "texts",
        "data": exam.name,
        "kind": "likelihood",
        "text": "question",
        "scores": ["cross_entropy"],
    }
    suite = folder / "likelihood.yaml"
    suite.write_text(yaml.safe_dump({"name": "likelihood", "tasks": [task]}))
    asked = homegrown_eval("run", broken, "--suite", suite, "--out", folder / "likelihood-run")
    assert asked.exit_code == 6, asked.output
    summary = json.loads((folder / "likelihood-run" / "summary.json").read_text())
    assert summary["errors"] == summary["asked"] == len(facts())
    assert all(figure["value"] is None and figure["why_not"] for figure in summary["figures"].values())


def test_weights_that_are_no_numbers_give_no_answers(broken: Path, baseline: Path, exam: Path, folder: Path):
    with served(broken) as base_url:
        ask(base_url, exam, folder / "broken-run", "hallucination", "--concurrency", ALL_AT_ONCE, code=6)
    summary = json.loads((folder / "broken-run" / "summary.json").read_text())
    assert summary["errors"] == summary["asked"]
    change = found(baseline / "hallucination", folder / "broken-run", UNANSWERED)
    assert change["outcome"] == "worse"
    assert change["p_adjusted"] < CERTAIN
    del summary["figures"][UNANSWERED]
    assert all(figure["value"] is None and figure["why_not"] for figure in summary["figures"].values())
    assert gate(f"{FACTS} >= baseline - 0.02", folder / "broken-run", baseline / "hallucination") == 3
