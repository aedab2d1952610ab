"""Stages: grown whole, skipped when unchanged, and the same to the bit after a kill."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from serving.model_folder import check_model_folder, read_lineage
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights
from training import pipeline
from training import stage as stages
from training.recipe import load_recipe


def test_grows_a_model_that_learnt(grown: Workshop) -> None:
    for name, stage, parent in (("small-base", "pretrain", "model"), ("small", "sft", "small-base")):
        folder = grown.home / "models" / name
        check_model_folder(folder)
        lineage = read_lineage(folder)
        assert (lineage.stage, lineage.parent, lineage.recipe) == (stage, parent, "small")
        assert lineage.metrics["validation_bits_per_byte"] > 0
        assert {source.name for source in lineage.sources} >= {str(grown.folder / "chat.jsonl")}
    assert weights(grown, "small-base") != weights(grown, "small")
    base = read_lineage(grown.home / "models" / "small-base")
    assert base.metrics["training_loss"] < 4.5  # log(384) = 5.95 for a model that knows nothing


def test_unchanged_stages_are_skipped_and_a_damaged_result_is_grown_again(grown: Workshop, tmp_path: Path) -> None:
    again = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, again.home)
    (again.home / "models" / "small" / "model.safetensors").write_bytes(b"")
    done = again.train("run")
    assert done.returncode == 0, done.stderr
    assert "tokenizer  unchanged" in done.stdout
    assert "pretrain  unchanged" in done.stdout
    assert "sft  done" in done.stdout
    assert weights(again, "small") == weights(grown, "small")


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_killed_and_started_again_it_ends_with_the_same_weights(grown: Workshop, tmp_path: Path, stage: str) -> None:
    name = {"pretrain": "small-base", "sft": "small"}[stage]
    killed = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, killed.home)
    shutil.rmtree(killed.home / "models" / name)
    shutil.rmtree(killed.home / "runs" / "small" / stage)
    kill_after_checkpoint(killed, stage)
    done = killed.train(stage)
    assert done.returncode == 0, done.stderr
    assert weights(killed, name) == weights(grown, name)


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_a_compiled_stage_that_was_killed_ends_with_the_same_weights(grown: Workshop, tmp_path: Path) -> None:
    dials = ("pretrain.compile=true", "pretrain.budget=200K tokens", "pretrain.processes=1")
    changes = [part for dial in dials for part in ("--set", dial)]
    whole, killed = Workshop(tmp_path / "whole", grown.recipe), Workshop(tmp_path / "killed", grown.recipe)
    for workshop in (whole, killed):
        shutil.copytree(grown.home, workshop.home)
        shutil.rmtree(workshop.home / "runs" / "small" / "pretrain")
    runs = [whole.train("pretrain", *changes)]
    shutil.copytree(whole.home / "compiled", killed.home / "compiled", dirs_exist_ok=True)  # compiling takes long
    kill_after_checkpoint(killed, "pretrain", *changes)
    runs.append(killed.train("pretrain", *changes))
    assert [done.returncode for done in runs] == [0, 0], runs[-1].stderr
    assert weights(killed, "small-base") == weights(whole, "small-base") != weights(grown, "small-base")


@pytest.mark.parametrize("lost", [False, True], ids=["model written", "model lost"])
def test_stopped_after_the_last_step_it_still_ends_the_same(
    grown: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    stopped = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, stopped.home)
    shutil.rmtree(stopped.home / "models" / "small")
    shutil.rmtree(stopped.home / "runs" / "small" / "sft")
    monkeypatch.setenv("HOMEGROWN_HOME", str(stopped.home))
    recipe = load_recipe(str(stopped.path))
    with monkeypatch.context() as patch:
        patch.setattr(stages, "finish_model_folder", lambda *_: sys.exit("stopped"))
        with pytest.raises(SystemExit):
            pipeline.run_recipe(recipe, "sft")
    if lost:
        shutil.rmtree(stopped.home / "runs" / "small" / "sft" / "model")
    pipeline.run_recipe(recipe, "sft")
    assert weights(stopped, "small") == weights(grown, "small")


def test_minutes_become_steps_once(grown: Workshop, tmp_path: Path) -> None:
    timed = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, timed.home)
    done = timed.train("sft", "--set", "sft.budget=1s")
    assert done.returncode == 0, done.stderr
    fixed = json.loads((timed.home / "runs" / "small" / "sft" / "steps.json").read_text())
    assert read_lineage(timed.home / "models" / "small").tokens == fixed["steps"] * 1024


def test_lora_changes_the_model_and_leaves_no_adapter_behind(grown: Workshop, tmp_path: Path) -> None:
    adapted = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, adapted.home)
    done = adapted.train("sft", "--set", "sft.lora=true", "--set", "name=adapted", "--set", "sft.base=small-base")
    assert done.returncode == 0, done.stderr
    check_model_folder(adapted.home / "models" / "adapted")
    assert weights(adapted, "adapted") not in (weights(adapted, "small-base"), weights(adapted, "small"))


def test_a_diverging_run_stops_with_one_sentence_and_keeps_its_checkpoint(grown: Workshop, tmp_path: Path) -> None:
    diverging = Workshop(tmp_path, grown.recipe)
    shutil.copytree(grown.home, diverging.home)
    dials = ("sft.learning_rate=1e38", "sft.clip=1e30", "sft.checkpoint_every=1", "sft.warmup_steps=0")
    done = diverging.train("sft", *(part for dial in dials for part in ("--set", dial)))
    assert done.returncode == 2
    assert "lower its learning_rate" in done.stderr
    assert "checkpoint-1 is kept" in done.stderr
    assert "Traceback" not in done.stderr
    assert (diverging.home / "runs" / "small" / "sft" / "checkpoints" / "checkpoint-1" / "whole.json").exists()


def test_a_missing_parent_is_named(workshop: Workshop) -> None:
    done = workshop.train("sft")
    assert done.returncode == 2
    assert "homegrown train pretrain" in done.stderr
