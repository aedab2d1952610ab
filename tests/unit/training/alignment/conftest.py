"""A recipe of every method of alignment, small enough to run in seconds, on pairs that a test can change."""

import json
import random
from pathlib import Path

import pytest

from tests.unit.training.conftest import Workshop

METHODS = ("reward", "dpo", "kto", "rloo", "grpo")


def pair(number: int) -> dict:
    """A question to which "yes" is right."""
    return {
        "prompt": f"Say {number}.",
        "chosen": "yes",
        "rejected": "no!",
        "sample": {"group": "fact", "answers": ["yes"], "entity": "", "wrong": ["no"]},
        "scores": ["honesty"],
    }


def write_pairs(path: Path, pairs: list[dict]) -> None:
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))


def make_workshop(folder: Path, base: Path) -> Workshop:
    """Five methods that start from the model in `base`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(0)
    write_pairs(folder / "pairs.jsonl", [pair(rng.randrange(1000)) for _ in range(120)])
    dials = {
        "base": str(base),
        "budget": "160 examples",
        "batch": 8,
        "held_out": 16,
        "answer_tokens": 8,
        "context": 96,
        "learning_rate": 3e-3,
        "checkpoint_every": 4,
        "processes": 1,
        "report_to": [],
        "sources": [{"name": str(folder / "pairs.jsonl")}],
    }
    online = dials | {"generations": 4, "check_every": 4, "quality": ["honesty"], "rewards": {"honesty": 1.0}}
    recipe = {"persona": None, "tools": [], "reward": dials, "dpo": dials, "kto": dials, "grpo": online | {"sft": 0.5}}
    recipe["rloo"] = online | {"rewards": {"learned": 1.0, "honesty": 0.5}}
    return Workshop(folder, recipe)


@pytest.fixture(scope="module")
def aligned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The workshop, with all five methods done."""
    workshop = make_workshop(tmp_path_factory.mktemp("aligned"), tiny_model)
    done = workshop.train("run")
    assert done.returncode == 0, done.stderr
    return workshop
