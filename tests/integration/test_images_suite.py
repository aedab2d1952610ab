"""`homegrown eval run --suite images` on a folder: our API and a real worker are started for it, and stopped."""

import json
import os

import pytest

from eval.drawn import pixels
from eval.report.write import write_report
from eval.result import read_result
from serving.errors import UserError
from serving.model_folder import folder_digest
from tests.processes import command_line, descendants
from tests.tiny_pipelines import write_tiny_pipeline
from tests.unit.eval.almanac_runs import invoke


@pytest.fixture(scope="module")
def tiny_pixels(session_home):
    return write_tiny_pipeline(session_home / "models" / "tiny-pixels-measured", "PixelPipeline")


def test_a_model_that_learnt_nothing_is_measured_as_such(tiny_pixels, tmp_path):
    before = descendants(os.getpid())
    run = tmp_path / "run"
    answer = invoke("run", tiny_pixels, "--suite", "images", "--limit", 10, "--out", run)
    assert answer.exit_code == 0, answer.output
    left = [pid for pid in descendants(os.getpid()) if pid not in before]
    assert [pid for pid in left if "python" in command_line(pid)] == []  # PostgreSQL forks helpers when it likes to
    result = read_result(run)
    assert result.identity["model_sha256"] == folder_digest(tiny_pixels)
    assert len(result.records) == 10 * (3 + 1 + 1 + 16)
    assert not result.errors
    assert result.figures["scenes.everything_right"].estimate.value < 0.2
    assert result.figures["singles.picture_s.1_in_flight.median"].estimate.value > 0
    assert result.figures["variety.diversity"].estimate is None
    seeds = [record.reply.file for record in result.records if record.task == "variety"][:16]
    assert len(set(seeds)) == 16
    assert all(pixels(file) is not None for file in seeds)
    assert "data:image/png;base64," in write_report(run).read_text()


def test_a_text_model_draws_nothing(tiny_model, tmp_path):
    with pytest.raises(UserError, match=r"model_index\.json"):
        invoke("run", tiny_model, "--suite", "images", "--limit", 1, "--out", tmp_path)


def test_a_model_that_still_learns_is_not_measured(tiny_pixels, session_home, tmp_path):
    progress = session_home / "runs" / tiny_pixels.name / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(json.dumps({"share": 0.4, "seconds_left": 60.0}))
    try:
        with pytest.raises(UserError, match="still learning"):
            invoke("run", tiny_pixels, "--suite", "images", "--limit", 1, "--out", tmp_path)
    finally:
        progress.unlink()
