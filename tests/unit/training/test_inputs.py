"""What a stage is made from: whatever of it changes, the stage is done again, and nothing else starts it anew."""

import json
import shutil
from pathlib import Path

import pytest

from serving.errors import UserError
from tests.tiny_model import CONTEXT
from tests.unit.training.conftest import Workshop
from tests.unit.training.foreign_models import write_gpt2
from training import text_stages
from training.pipeline import STAGES
from training.recipe import load_recipe

DPO = "{budget: 64 examples, sources: [{name: almanac}], context: 256}"
EMBEDDER = "{pairs: 3000, sources: [{name: text.jsonl, kind: text}]}"


@pytest.fixture
def based(workshop: Workshop, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose sft goes on from a model that is there."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(workshop.home))
    monkeypatch.chdir(workshop.folder)
    workshop.recipe |= {"tokenizer": None, "pretrain": None, "base": str(tiny_model)}
    workshop.recipe["sft"] |= {"lora": True}
    return workshop


def inputs(workshop: Workshop, stage: str, *overrides: str) -> dict:
    return STAGES[stage](load_recipe(str(workshop.path), list(overrides))).inputs


def test_how_weights_are_saved_counts_for_an_aligned_model(based: Workshop) -> None:
    plain = inputs(based, "dpo", f"dpo={DPO}", "dpo.base=" + based.recipe["base"])
    halved = inputs(based, "dpo", f"dpo={DPO}", "dpo.base=" + based.recipe["base"], "model.saved_as=bfloat16")
    assert plain != halved


@pytest.mark.parametrize("stage", ["sft", "embedder"])
def test_passages_count(based: Workshop, stage: str) -> None:
    Path("stories.jsonl").write_text(json.dumps({"name": "one", "sections": ["Once."]}))
    override = f"{stage}.sources=[{{name: chat.jsonl, kind: chat, passages: stories.jsonl}}]"
    overrides = [override] if stage == "sft" else [f"embedder={EMBEDDER}", override]
    before = inputs(based, stage, *overrides)
    assert inputs(based, stage, *overrides) == before
    Path("stories.jsonl").write_text(json.dumps({"name": "one", "sections": ["Once more."]}))
    assert inputs(based, stage, *overrides) != before


@pytest.mark.parametrize(
    ("stage", "override", "counts"),
    [
        ("sft", "sft.fairness={axes: [religion]}", True),
        ("sft", "sft.sources.0.counterfactual=[religion]", True),
        ("embedder", "embedder.sources.0.counterfactual=[religion]", True),
        ("sft", "seed=3", False),
        ("embedder", "seed=3", False),
    ],
)
def test_groups_count_where_documents_are_copied_about_them(
    based: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str, override: str, counts: bool
) -> None:
    overrides = ([f"embedder={EMBEDDER}"] if stage == "embedder" else []) + [override]
    before = inputs(based, stage, *overrides)
    changed = shutil.copy(text_stages.SWAPS, tmp_path / "swaps.yaml")
    with changed.open("a") as file:
        file.write("# another group\n")
    monkeypatch.setattr(text_stages, "SWAPS", changed)
    assert (inputs(based, stage, *overrides) != before) == counts


def test_of_a_source_that_is_named_twice_both_ways_count(
    based: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    twice = "[{name: chat.jsonl, kind: chat, counterfactual: [religion]}, {name: chat.jsonl, kind: chat, weight: 2}]"
    before = inputs(based, "sft", f"sft.sources={twice}")
    monkeypatch.setattr(text_stages, "SWAPS", based.folder / "chat.jsonl")
    assert inputs(based, "sft", f"sft.sources={twice}") != before


@pytest.mark.parametrize(("stage", "counts"), [("sft", True), ("dpo", True), ("embedder", False)])
def test_schemas_of_tools_count_where_conversations_are_written_with_them(
    based: Workshop, monkeypatch: pytest.MonkeyPatch, stage: str, counts: bool
) -> None:
    overrides = [f"dpo={DPO}", "dpo.base=" + based.recipe["base"], f"embedder={EMBEDDER}"]
    before = inputs(based, stage, *overrides)
    monkeypatch.setattr(text_stages, "tool_schemas", lambda: [{"name": "calculate"}])
    assert (inputs(based, stage, *overrides) != before) == counts
    assert "schemas" not in inputs(based, "sft", "sft.persona=false")


def test_more_tokens_than_a_base_has_positions_are_one_sentence(based: Workshop) -> None:
    own = write_gpt2(based.folder / "own")
    dials = ["dpo.context=2048", f"sft.row={2 * CONTEXT}", f"sft.batch_tokens={2 * CONTEXT}"]
    recipe = load_recipe(str(based.path), [f"dpo={DPO}", f"base={own}", f"dpo.base={own}", *dials])
    for stage, dial in (("sft", "sft.row"), ("dpo", "dpo.context")):
        with pytest.raises(UserError) as caught:
            STAGES[stage](recipe).run()
        sentence = f"{dial} is 2048 tokens, and {own} knows only 1024 positions: lower it (`--set {dial}=1024`)."
        assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 64}, "max_position_embeddings": 512}, 64),
        ({"max_position_embeddings": None}, None),
        ({"alibi": True}, None),
    ],
)
def test_positions_are_read_where_a_config_says_them(tmp_path: Path, config: dict, positions: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert text_stages.positions_of(tmp_path) == positions
    text_stages.check_positions(str(tmp_path), "sft.row", positions or 10**6)
