"""What the training tells of itself is what those who wait for pictures read."""

from pathlib import Path

import pytest

from serving.images.growth import Growth, growth
from training.images import telling
from training.images.telling import PAUSE_S, Telling
from training.job import Job
from training.launch import Layout
from training.recipe import load_recipe


def test_pace_and_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    now = 100.0
    monkeypatch.setattr(telling.time, "monotonic", lambda: now)
    recipe = load_recipe("images-tiny", ["images.checkpoint_every=40"])
    folder = tmp_path / "runs" / "images-tiny" / "images"
    folder.mkdir(parents=True)
    layout = Layout("cpu", 1, 1)
    told = Telling(Job(recipe=recipe, stage="images", folder=folder, tokenizer=folder, steps=100, layout=layout))
    told.begin(10)
    assert growth("images-tiny") == Growth(0.1)
    now += 60  # it compiles
    told.now_and_then(11)
    assert growth("images-tiny") == Growth(0.11)
    now += PAUSE_S - 1
    told.now_and_then(21)
    assert growth("images-tiny") == Growth(0.11)
    now += 1
    told.now_and_then(21)
    assert growth("images-tiny") == Growth(0.21, seconds_left=39.5, seconds_to_next=9.5)
    now += 35
    told.tell(91)
    assert growth("images-tiny") == Growth(0.91, seconds_left=4.5, seconds_to_next=4.5)
    told.end()
    assert growth("images-tiny") is None
