"""The thread through the house: grow -> serve -> ask -> examine. Every issue makes it longer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from serving.model_folder import check_model_folder, read_lineage

ROOT = Path(__file__).parents[2]


def homegrown(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in the session's home."""
    return subprocess.run(
        [sys.executable, str(ROOT / "homegrown.py"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        stdin=subprocess.DEVNULL,
    )


def test_a_grown_model_is_a_whole_folder_with_its_lineage(grown_tiny: Path):
    check_model_folder(grown_tiny)
    lineage = read_lineage(grown_tiny)
    assert (lineage.stage, lineage.recipe, lineage.parent) == ("sft", "tiny", "tiny-base")
    assert lineage.tokens > 0
    assert {source.name for source in lineage.sources} == {"almanac"}


def test_growing_again_trains_nothing(grown_tiny: Path):
    before = {path: path.stat().st_mtime_ns for path in grown_tiny.iterdir()}
    again = homegrown("train", "run", "tiny")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("unchanged") == 3
    assert before == {path: path.stat().st_mtime_ns for path in grown_tiny.iterdir()}


def test_it_is_served_asked_and_examined(grown_tiny: Path, session_home: Path, tmp_path: Path):
    exam = session_home / "exams" / "tiny" / "dev.jsonl"
    run = homegrown(
        "eval",
        "run",
        "tiny",
        "--suite",
        "almanac",
        "--questions",
        str(exam),
        "--limit",
        "60",
        "--out",
        str(tmp_path / "run"),
    )
    assert run.returncode == 0, run.stderr
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    answered = [record for record in records if record.get("error") is None]
    assert len(answered) == 60
    assert "fact" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [(("train", "run", "no-such-recipe"), 2, "no-such-recipe"), (("serve", "no-such-model"), 3, "no-such-model")],
)
def test_what_is_not_there_is_one_sentence(arguments: tuple[str, ...], code: int, said: str):
    failed = homegrown(*arguments)
    assert failed.returncode == code
    assert said in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "Traceback" not in failed.stderr
