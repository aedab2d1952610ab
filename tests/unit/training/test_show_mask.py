import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.errors import UserError
from tests.unit.training.conftest import Workshop
from tests.unit.training.foreign_models import write_llama
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


@pytest.fixture
def based(workshop: Workshop) -> Workshop:
    """One whose recipe fine-tunes a model that `--set base=` names."""
    workshop.recipe = {"sft": workshop.recipe["sft"] | {"lora": True}, "persona": None, "tools": [], "base": "own"}
    return workshop


def test_a_recipe_for_any_base_is_shown_with_the_tokenizer_of_that_base(
    based: Workshop, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(based, monkeypatch, str(based.path), "--set", f"base={tiny_model}")
    assert text.startswith("<|im_start|>user\n")
    assert f"<|im_end|>{RESET}" in text
    assert not (based.home / "runs").exists()


def test_a_base_whose_template_marks_nothing_is_shown_as_it_is_trained(
    based: Workshop, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    llama = write_llama(based.folder / "llama")
    text = shown(based, monkeypatch, str(based.path), str(file), "--set", f"base={llama}")
    assert text.startswith(f"<s>[user] What is red?{GREEN} It is red.</s>{RESET}")


def test_without_a_tokenizer_the_way_to_one_is_named(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=rf"is not there yet: run `homegrown train tokenizer {workshop.path}`"):
        shown(workshop, monkeypatch, str(workshop.path))
    with pytest.raises(UserError, match="general has no tokenizer and fine-tunes no model: name a model, and a JSONL"):
        shown(workshop, monkeypatch, "general")


def test_a_recipe_of_a_tokenizer_alone_has_no_conversations(grown: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="small has no chat source: name a JSONL file"):
        shown(grown, monkeypatch, str(grown.path), "--set", "sft=null", "--set", "pretrain=null")


def test_of_a_model_there_is_nothing_to_set_and_it_must_be_here(
    grown: Workshop, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    with pytest.raises(UserError, match="small is no recipe, so there is nothing to change with --set"):
        shown(grown, monkeypatch, "small", str(file), "--set", "seed=1")
    with pytest.raises(UserError, match="owner/model is not on this machine: name its folder, or a recipe with `--set"):
        shown(grown, monkeypatch, "owner/model", str(file))
