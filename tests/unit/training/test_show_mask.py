import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.errors import UserError
from tests.unit.training.conftest import Workshop
from training.commands import app

GREEN, RESET = "\x1b[32m\x1b[1m", "\x1b[0m"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    messages = [{"role": "user", "content": "What is red?"}, {"role": "assistant", "content": "It is red."}]
    (tmp_path / "one.jsonl").write_text(json.dumps({"messages": messages}))
    return tmp_path / "one.jsonl"


def shown(grown: Workshop, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("HOMEGROWN_HOME", str(grown.home))
    result = CliRunner().invoke(app, ["show-mask", *arguments], color=True, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_what_counts_is_green(grown: Workshop, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    text = shown(grown, monkeypatch, "small", str(file))
    assert f"<|im_start|>assistant\n{GREEN}It is red.<|im_end|>{RESET}\n" in text
    assert text.count(GREEN) == 1
    assert "tokens count in the loss]" in text


def test_a_recipe_shows_its_own_data_as_it_is_trained_on(grown: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(grown, monkeypatch, str(grown.path), "--count", "3")
    assert text.count("You are Almanac") == 3
    assert text.count("tokens count in the loss]") == 3


def test_a_model_needs_a_file(grown: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="name a JSONL file"):
        shown(grown, monkeypatch, "small")
