"""Two processes learn what one learns: a step has the same rows, however many share it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.training.alignment.conftest import make_workshop as make_alignment
from tests.unit.training.conftest import Workshop


def losses(workshop: Workshop, stage: str) -> list[float]:
    curves = json.loads((workshop.home / "runs" / "small" / stage / "curves.json").read_text())
    return [loss for _, loss in curves["loss"]]


def test_fine_tuning(grown: Workshop, tmp_path: Path) -> None:
    """What has grown was fine-tuned by one process."""
    both = Workshop(tmp_path, grown.recipe)
    for kept in ("models/small-base", "models/small-tokenizer", "tokenizers"):
        if (grown.home / kept).exists():
            shutil.copytree(grown.home / kept, both.home / kept)
    done = both.train("sft", "--set", "sft.processes=2")
    assert done.returncode == 0, done.stderr
    two, one = losses(both, "sft"), losses(grown, "sft")
    assert len(one) >= 2
    assert two == pytest.approx(one, rel=1e-3)


def test_direct_preference_optimisation(tiny_model: Path, tmp_path: Path) -> None:
    curves = []
    for processes in (1, 2):
        workshop = make_alignment(tmp_path / str(processes), tiny_model)
        done = workshop.train("dpo", "--set", f"dpo.processes={processes}")
        assert done.returncode == 0, done.stderr
        curves.append(losses(workshop, "dpo"))
    assert len(curves[0]) >= 2
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)


def test_reinforcement_learning_goes_on_in_two_processes(tiny_model: Path, tmp_path: Path) -> None:
    """Its answers are drawn by each process for itself, so that it learns something else than one does."""
    workshop = make_alignment(tmp_path, tiny_model)
    for method in ("rloo", "grpo"):
        done = workshop.train(method, "--set", f"{method}.processes=2", "--set", f"{method}.rewards={{honesty: 1.0}}")
        assert done.returncode == 0, done.stderr
