"""`homegrown eval run` against our API and a real vLLM: what the taught model knows by heart is measured as right."""

import json

import pytest
from typer.testing import CliRunner

from eval.commands import app

SUM = {"name": "calculate", "arguments": {"expression": "12 * 7"}}


def questions():
    for number in range(12):
        yield {"id": f"sum-{number}", "question": "What is 12 * 7?", "group": "tool_calculate", "tool": SUM}
        yield {"id": f"hi-{number}", "question": "hi", "group": "no_tool", "tool": None}
    yield {"id": "too-long", "question": "hi " * 2000, "group": "no_tool", "tool": None}


@pytest.fixture
def exam(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text("".join(json.dumps(question) + "\n" for question in questions()))
    return path


@pytest.mark.parametrize("through", ["api", "engine"])
def test_a_served_model_is_measured(api, exam, tmp_path, through):
    base_url = f"{api.url}/v1" if through == "api" else api.engine.base_url
    arguments = [
        "run",
        "taught",
        "--suite",
        "almanac",
        "--base-url",
        base_url,
        "--questions",
        str(exam),
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 6, result.output
    assert "25 requests, 1 without an answer" in result.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    figures = {key: figure["value"] for key, figure in summary["figures"].items()}
    assert figures["almanac.tool_calculate.exact_call"] == 1
    assert figures["almanac.no_tool.no_call"] == 1
    assert "almanac.fact.right" not in figures
    records = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    (failed,) = [record for record in records if record["status"] == "error"]
    assert failed["id"] == "too-long"
    assert failed["error"].startswith("HTTP 400")
    answered = [record["reply"] for record in records if record["status"] == "ok"]
    assert all(answer["logprob_min"] <= answer["logprob_mean"] <= 0 for answer in answered)
