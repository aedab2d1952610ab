"""A planted defect of a prompt: under it a real checkpoint behind a real vLLM answers worse, and its suite says so."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from eval.commands import app
from eval.prompting.comparison import compare_techniques
from eval.result import read_result
from prompts.library import persona
from serving.text_engine import TextEngine
from tests.planted import WORSE_PROMPT, write_exam, write_healthy

CERTAIN = 0.01
ASKED = {"user": "{{ question }}"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The healthy model, asked as it is served, under the worse system prompt, and as it is served once more."""
    folder = tmp_path_factory.mktemp("planted-prompt")
    prompts = folder / "prompts"
    prompts.mkdir()
    for name, system in (("hasty", persona(WORSE_PROMPT)), ("same", "{{ system }}")):
        technique = {"title": name.title(), "messages": [{"system": system}, ASKED]}
        (prompts / f"{name}.yaml").write_text(yaml.safe_dump(technique))
    model, exam = write_healthy(folder / "model"), write_exam(folder / "exam.jsonl")
    with TextEngine(str(model), dtype="float32") as engine:
        arguments = ["run", "--base-url", engine.base_url, "--suite", "prompting", "--out", str(folder / "run")]
        asked = CliRunner().invoke(app, [*arguments, "--questions", str(exam), "--prompts", str(prompts)])
    assert asked.exit_code == 0, asked.output
    # Shown with -s: the table of benchmarks/LOG.md.
    print(asked.output)
    return folder / "run"


def test_a_prompt_that_leads_to_worse_answers_is_found(run: Path):
    contrast = compare_techniques(read_result(run).records).contrasts["hasty"]
    assert contrast.is_worse
    assert contrast.p < CERTAIN
    assert contrast.found.difference == pytest.approx(-0.2, abs=0.06)


def test_a_prompt_that_is_the_same_is_not(run: Path):
    contrast = compare_techniques(read_result(run).records).contrasts["same"]
    assert contrast.p == 1


def test_the_worse_prompt_is_named_and_none_is_recommended(run: Path):
    (said,) = read_result(run).conclusions.values()
    assert "Worse than zero-shot: Hasty" in said
    assert "No technique is better than zero-shot" in said
    assert json.loads((run / "summary.json").read_text())["figures"]["prompting.hasty.gain"]["high"] < 0
