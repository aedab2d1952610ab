"""Each method learns, leaves a whole folder, and ends with the same weights after a kill."""

import json
import shutil
from pathlib import Path

import pytest

from serving.model_folder import check_model_folder, folder_digest, read_lineage
from tests.unit.training.alignment.conftest import METHODS, make_workshop, pair, write_pairs
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights
from training import launch
from training.pipeline import STAGES
from training.recipe import load_recipe


@pytest.mark.parametrize("method", METHODS)
def test_it_leaves_a_whole_folder_that_learnt(aligned: Workshop, tiny_model: Path, method: str) -> None:
    folder = aligned.home / "models" / f"small-{method}"
    check_model_folder(folder, chat=method != "reward")
    lineage = read_lineage(folder)
    assert (lineage.stage, lineage.parent, lineage.parent_sha256) == (method, "tiny", folder_digest(tiny_model))
    assert lineage.examples == 160
    assert folder_digest(folder) != folder_digest(tiny_model)


def test_they_tell_right_from_wrong_on_held_out_pairs(aligned: Workshop) -> None:
    metrics = {m: read_lineage(aligned.home / "models" / f"small-{m}").metrics for m in METHODS}
    assert metrics["reward"]["accuracy"] == 1.0
    assert metrics["reward"]["length_accuracy"] == 0.0  # "yes" and "no!" are as long
    assert metrics["dpo"]["accuracy"] == 1.0
    assert metrics["dpo"]["margin"] > 0.5
    assert metrics["kto"]["margin"] > 0.5
    assert metrics["rloo"]["kl"] > 0
    assert metrics["rloo"]["quality"] >= metrics["rloo"]["quality_before"]


def test_reinforcement_learning_finds_what_is_rewarded(aligned: Workshop) -> None:
    curves = json.loads((aligned.home / "runs" / "small" / "grpo" / "curves.json").read_text())
    assert {"reward", "kl", "entropy", "completions/mean_length"} <= set(curves)


def test_given_answers_are_held_on_to(aligned: Workshop, tmp_path: Path) -> None:
    held_on = json.loads((aligned.home / "runs" / "small" / "grpo" / "curves.json").read_text())["given_loss"]
    assert held_on[-1][1] < held_on[0][1] - 1
    workshop = make_workshop(tmp_path, Path(aligned.recipe["grpo"]["base"]))
    write_pairs(tmp_path / "pairs.jsonl", [{"prompt": f"Say {n}."} for n in range(40)])
    failed = workshop.train("grpo")
    assert failed.returncode == 2, failed.stderr
    assert "rows without an answer" in failed.stderr


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_started_again_it_ends_with_the_same_weights(aligned: Workshop, tmp_path: Path, method: str) -> None:
    killed = Workshop(tmp_path, aligned.recipe)
    shutil.copytree(aligned.home, killed.home)
    shutil.rmtree(killed.home / "models" / f"small-{method}")
    shutil.rmtree(killed.home / "runs" / "small" / method)
    kill_after_checkpoint(killed, method)
    done = killed.train(method)
    assert done.returncode == 0, done.stderr
    assert weights(killed, f"small-{method}") == weights(aligned, f"small-{method}")


@pytest.mark.parametrize(("cores", "processes"), [(2, 2), (16, 8), (32, 8)])
def test_no_process_of_kto_has_a_single_row(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    monkeypatch.setattr(launch, "cores", lambda: cores)
    monkeypatch.setattr(launch, "gpus", lambda: 0)
    workshop = make_workshop(tmp_path, tiny_model)
    dials = ("batch=16", "processes=auto")
    recipe = load_recipe(
        str(workshop.path), [f"{method}.{dial}" for method in ("dpo", "kto", "reward") for dial in dials]
    )
    assert STAGES["kto"](recipe).layout().processes == processes
    assert STAGES["dpo"](recipe).layout().processes == min(cores, 16)


def test_a_pair_of_rows_is_one_process_of_kto(tiny_model: Path, tmp_path: Path) -> None:
    workshop = make_workshop(tmp_path, tiny_model)
    dials = ("kto.batch=2", "kto.processes=2", "kto.budget=4 examples")
    done = workshop.train("kto", *(part for dial in dials for part in ("--set", dial)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("method", "dials", "measure", "least"),
    [
        ("dpo", ["lora.dora=true", "optimizer=adamw_8bit"], "accuracy", 0.9),
        ("dpo", ["lora.dora=true", "lora.quantised=nf4"], "accuracy", 0.9),
        ("reward", ["lora.quantised=nf4", "lora.embeddings=whole"], "accuracy", 0.9),
        ("kto", ["lora.quantised=nf4", "lora.embeddings=whole"], "margin", 0.3),
        ("rloo", ["lora.quantised=nf4", "reward_model={aligned}/models/small-reward"], "kl", 0.0),
    ],
)
def test_adapters_are_trained_and_worked_into_the_weights(
    aligned: Workshop, tiny_model: Path, tmp_path: Path, method: str, dials: list[str], measure: str, least: float
) -> None:
    workshop = Workshop(tmp_path, aligned.recipe)
    changes = (f"{method}.{dial}".format(aligned=aligned.home) for dial in dials)
    done = workshop.train(method, *(part for change in changes for part in ("--set", change)))
    assert done.returncode == 0, done.stderr
    folder = workshop.home / "models" / f"small-{method}"
    check_model_folder(folder, chat=method != "reward")
    assert folder_digest(folder) != folder_digest(tiny_model)
    assert read_lineage(folder).metrics[measure] > least


def test_the_likelihood_of_preferred_answers_keeps_them_likely(aligned: Workshop, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, aligned.recipe)
    done = workshop.train("dpo", "--set", "dpo.sft=1.0")
    assert done.returncode == 0, done.stderr
    chosen = [
        json.loads((one.home / "runs" / "small" / "dpo" / "curves.json").read_text())["rewards/chosen"][-1][1]
        for one in (aligned, workshop)
    ]
    assert chosen[1] > chosen[0]


@pytest.mark.parametrize(
    ("method", "rows", "said"),
    [
        ("dpo", [pair(1) | {"rejected": "yes"}] * 40, "pairs whose two answers are the same"),
        ("dpo", [pair(1) | {"prompt": " "}] * 40, "empty prompts"),
        ("dpo", [pair(n) | {"chosen": "yes " * 90} for n in range(40)], "answers over 8 tokens"),
        ("dpo", [pair(n) | {"prompt": "why " * 90} for n in range(40)], "no room for an answer"),
        ("dpo", [{"text": "no pair"}] * 40, "rows without a prompt"),
        ("kto", [{"prompt": f"Say {n}.", "completion": "yes", "label": True} for n in range(40)], "are good"),
        ("dpo", [pair(n) for n in range(5)], "fewer than a batch of 8"),
    ],
)
def test_what_teaches_nothing_is_one_sentence(
    tiny_model: Path, tmp_path: Path, method: str, rows: list[dict], said: str
) -> None:
    workshop = make_workshop(tmp_path, tiny_model)
    write_pairs(tmp_path / "pairs.jsonl", rows)
    failed = workshop.train(method)
    assert failed.returncode == 2, failed.stderr
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_reward_model_of_another_tokenizer_is_refused(aligned: Workshop, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, aligned.recipe)
    other = tmp_path / "other"
    shutil.copytree(aligned.home / "models" / "small-reward", other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": 999, "content": "<|more|>"})
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    failed = workshop.train("rloo", "--set", f"rloo.reward_model={other}")
    assert failed.returncode == 2
    assert "another tokenizer" in failed.stderr


def test_a_reward_that_is_no_number_stops_it(aligned: Workshop, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    workshop = Workshop(tmp_path, aligned.recipe)
    broken = tmp_path / "broken"
    shutil.copytree(aligned.home / "models" / "small-reward", broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["score.weight"] *= float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    failed = workshop.train("rloo", "--set", f"rloo.reward_model={broken}")
    assert failed.returncode == 2
    assert "no numbers" in failed.stderr
    assert not (workshop.home / "models" / "small-rloo").exists()
