"""The figures that the almanac assistant must reach, on the final exam, which nothing else opens (make check-full)."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.corpus.almanac.exam import wordings_of
from training.corpus.almanac.wordings import FOLDER, four_grams, gram_hash, held_out

pytestmark = pytest.mark.grown
ROOT = Path(__file__).parents[2]


def test_the_final_wordings_are_the_ones_committed_before_tuning():
    for line in (FOLDER / "final.sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_training_keeps_away_from_the_final_wordings():
    assert {gram_hash(g) for frame in wordings_of("final") for g in four_grams(frame)} <= held_out()
