import json
import os
import time
from pathlib import Path

import pytest

from serving.images.growth import STALE_S, growth, last_growth


@pytest.fixture
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    file = tmp_path / "runs" / "images" / "progress.json"
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.parametrize(
    ("share", "seconds", "said"),
    [
        (0.424, 130.0, "42 %, first pictures in about 2 minutes"),
        (0.97, 10.0, "97 %, first pictures in about 1 minute"),
        (0.0, 600.0, "0 %, first pictures in about 10 minutes"),
    ],
)
def test_how_far_it_is_in_words(progress: Path, share: float, seconds: float, said: str) -> None:
    progress.write_text(json.dumps({"share": share, "seconds_left": seconds}))
    assert str(growth("images")) == said


def test_before_the_first_version_the_time_until_then_counts(progress: Path) -> None:
    progress.write_text(json.dumps({"share": 0.02, "seconds_left": 900, "seconds_to_next": 125.0}))
    assert str(growth("images")) == "2 %, first pictures in about 2 minutes"
    progress.write_text(json.dumps({"share": 0.0}))
    assert str(growth("images")) == "it has only just begun"


def test_a_training_that_does_not_go_on_is_none(progress: Path) -> None:
    assert growth("images") is None
    progress.write_text(json.dumps({"share": 0.5, "seconds_left": 100}))
    assert growth("other") is None
    killed = time.time() - STALE_S - 1
    os.utime(progress, (killed, killed))
    assert growth("images") is None
    assert last_growth("images").share == 0.5
    assert last_growth("other") is None
