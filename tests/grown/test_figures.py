"""The figures that the almanac assistant must reach, on the final exam, which nothing else opens (make check-full)."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.corpus.almanac.exam import wordings_of
from training.corpus.almanac.wordings import FOLDER, four_grams, gram_hash, held_out

pytestmark = pytest.mark.grown
ROOT = Path(__file__).parents[2]

AT_LEAST = {
    "fact.right": 0.92,
    "made_up.refused": 0.93,
    "near_miss.refused": 0.90,
    "withheld_entity.refused": 0.90,
    "premise.right": 0.88,
    "tool_generate_image.exact_call": 0.95,
    "tool_search_documents.exact_call": 0.95,
    "tool_calculate.exact_call": 0.95,
    "tool_now.exact_call": 0.95,
    "natural_tool.exact_call": 0.85,
    "no_call": 0.99,
}
AT_MOST = {"fact.refused": 0.05, "premise_false.affirmed": 0.03}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The figures of the almanac in the home of whoever runs this, on the final exam."""
    out = tmp_path_factory.mktemp("final")
    home = os.environ.get("HOMEGROWN_GROWN_HOME", str(ROOT / ".homegrown"))
    exam = run(home, "train", "exam", "almanac", "--final").stdout.splitlines()[-1]
    run(
        home,
        "eval",
        "run",
        "almanac",
        "--suite",
        "almanac",
        "--questions",
        exam,
        "--concurrency",
        "64",
        "--out",
        str(out),
    )
    return {key: figure["value"] for key, figure in json.loads((out / "summary.json").read_text())["figures"].items()}


def run(home: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "homegrown.py"), *arguments]
    environment = os.environ | {"HOMEGROWN_HOME": home}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_final_wordings_are_the_ones_committed_before_tuning():
    for line in (FOLDER / "final.sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_training_keeps_away_from_the_final_wordings():
    assert {gram_hash(g) for frame in wordings_of("final") for g in four_grams(frame)} <= held_out()


@pytest.mark.parametrize("key", AT_LEAST)
def test_is_good_enough(figures: dict[str, float], key: str):
    assert figures[f"almanac.{key}"] >= AT_LEAST[key]


@pytest.mark.parametrize("key", AT_MOST)
def test_is_rare_enough(figures: dict[str, float], key: str):
    assert figures[f"almanac.{key}"] <= AT_MOST[key]
