"""Prompts that are always answered right, or always wrong, are left out; the choice is made once."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from serving.errors import UserError
from training.alignment.rewards import ScoreReward
from training.alignment.section import RlooSection
from training.alignment.shared_prompts import answer
from training.alignment.worthwhile import worthwhile

NEVER_SAID = "an answer that nobody has ever given"


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path):
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    return AutoModelForCausalLM.from_pretrained(tiny_model)


def section(**dials) -> RlooSection:
    return RlooSection(
        budget="8 examples",
        batch=4,
        generations=4,
        answer_tokens=1,
        sources=[{"name": "almanac"}],
        rewards={"honesty": 1.0},
        tried=50,
        trials=8,
        **dials,
    )


def row(prompt: str, answers: list[str]) -> dict:
    sample = {"group": "fact", "answers": answers, "wrong": [], "entity": ""}
    return {"prompt": prompt, "sample": json.dumps(sample), "scores": ["honesty"]}


@pytest.fixture(scope="module")
def rows(model, tokenizer) -> list[dict]:
    """The first can be answered right or wrong, the second only wrong."""
    ids = tokenizer("Say 1.")["input_ids"]
    drawn = answer(model, [ids] * 200, 1, tokenizer.eos_token_id, tokenizer.pad_token_id, 1.0)
    said = [tokenizer.decode(one).strip() for one in drawn]
    words = sorted({word for word in said if word.isalnum()})
    assert len(words) > 1
    return [row("Say 1.", words[::2]), row("Say 1.", [NEVER_SAID])]


def test_only_prompts_whose_answers_differ_in_worth_are_kept(rows, model, tokenizer, tmp_path: Path) -> None:
    rewards = [ScoreReward("honesty", tokenizer)]
    asked = [rows[number % 2] for number in range(40)]
    found = worthwhile(section(), model, tokenizer, rewards, asked, tmp_path / "tried.json")
    assert found
    assert all(one == rows[0] for one in found)
    assert model.training
    kept = json.loads((tmp_path / "tried.json").read_text())
    (tmp_path / "tried.json").write_text(json.dumps(kept[:1]))  # what an interrupted run found is not looked for again
    assert len(worthwhile(section(), model, tokenizer, rewards, asked, tmp_path / "tried.json")) == 1


def test_too_few_are_one_sentence(rows, model, tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Of 2 prompts only 0"):
        worthwhile(section(), model, tokenizer, [ScoreReward("honesty", tokenizer)], rows[1:] * 2, tmp_path / "t.json")


def test_a_learned_reward_alone_cannot_tell() -> None:
    with pytest.raises(ValueError, match="never twice the same"):
        RlooSection(budget="8 examples", sources=[{"name": "almanac"}], tried=10)
