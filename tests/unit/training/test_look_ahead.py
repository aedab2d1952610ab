"""What a later stage would miss is said before the first one trains."""

import json
from pathlib import Path

import pytest

from serving.errors import UserError
from tests.unit.training.conftest import Workshop
from training.corpus import sources
from training.pipeline import STAGES, run_recipe
from training.recipe import load_recipe

ALMANAC = "budget: 64 examples, sources: [{name: almanac}], context: 256"
REWARD = f"reward={{{ALMANAC}}}"


def complaint(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> str:
    """What `homegrown train run` says, having done nothing."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(workshop.home))
    with pytest.raises(UserError) as caught:
        run_recipe(load_recipe(str(workshop.path), list(overrides)))
    assert not (workshop.home / "runs" / "small" / "tokenizer").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sft.sources=[{name: lost.jsonl, kind: chat}]", "The source lost.jsonl is not there"),
        ("sft.sources=[{name: chat.jsonl, kind: chat, passages: lost.jsonl}]", "The source lost.jsonl is not there"),
        ("sft.sources=[{name: letter.docx, kind: chat}]", "letter.docx is of no type that can be read here"),
        ("sft.sources=[{name: damaged.jsonl.gz, kind: chat}]", "damaged.jsonl.gz is truncated or damaged"),
        ("pretrain.phases.1.sources=[{name: lost/*.txt, kind: text}]", "The source lost/*.txt is not there"),
        ("embedder={sources: [{name: lost.txt, kind: text}]}", "The source lost.txt is not there"),
        ("dpo={budget: 64 examples, sources: [{name: lost.jsonl}]}", "The source lost.jsonl is not there"),
        ("dpo={budget: 64 examples, sources: [{name: owner/pairs}]}", "dpo.sources: owner/pairs is no file here"),
        (f"rloo={{{ALMANAC}, rewards: {{honestly: 1}}}}", "There is no score 'honestly': name one of"),
        (f"grpo={{{ALMANAC}, rewards: {{honesty: 1}}, quality: [learned]}}", "There is no score 'learned'"),
        (f"distil={{{ALMANAC}, teacher: almanac, score: honestly}}", "There is no score 'honestly'"),
        (f"distil={{{ALMANAC}, teacher: nobody}}", "distil.teacher: nobody is no text file"),
        (f"rloo={{{ALMANAC}}}", "no section reward: name a reward model, such as `--set rloo.reward_model=FOLDER`"),
        (f"rloo={{{ALMANAC}, reward_model: lost}}", "There is no model folder lost"),
    ],
)
def test_nothing_is_trained_when_a_later_stage_misses_something(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, override: str, said: str
) -> None:
    monkeypatch.chdir(workshop.folder)
    Path("letter.docx").write_bytes(b"PK")
    Path("damaged.jsonl.gz").write_bytes(b"\x1f\x8b\x08 and no more of it")
    assert said in complaint(workshop, monkeypatch, override)


def test_a_model_to_align_must_be_named_where_none_is_grown(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = complaint(workshop, monkeypatch, "sft=null", f"kto={{{ALMANAC}}}")
    assert said.endswith("no section sft: name a base, such as `--set kto.base=almanac`.")


def test_nothing_is_read_from_the_hub_ahead(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "hub_rows", lambda *_: pytest.fail("the hub is asked"))
    recipe = load_recipe(str(workshop.path), ["sft.sources=[{name: owner/talks, kind: chat}]", "sft.base=owner/model"])
    STAGES["sft"].look_ahead(recipe)


def test_what_can_be_found_is_no_obstacle(workshop: Workshop, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "What is red?", "chosen": "Red is a colour.", "rejected": "No."}))
    dpo = f"dpo={{budget: 64 examples, sources: [{{name: {pairs}}}]}}"
    online = f"rloo={{{ALMANAC}, rewards: {{learned: 1, honesty: 1}}, quality: [exact_call]}}"
    recipe = load_recipe(str(workshop.path), [dpo, REWARD, online, f"distil={{{ALMANAC}, teacher: almanac}}"])
    for stage in ("tokenizer", "pretrain", "sft", "reward", "dpo", "rloo", "distil"):
        STAGES[stage].look_ahead(recipe)
