from pathlib import Path

import pytest

from training.checkpoints import is_whole, latest_whole, mark_whole, seconds_so_far


def checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "model.safetensors").write_bytes(b"w" * 100)
    (path / "optimizer.pt").write_bytes(b"o" * 50)
    mark_whole(path, seconds=step / 10)
    return path


def test_the_newest_whole_one_is_found_by_its_step(tmp_path: Path) -> None:
    for step in (5, 100, 20):
        checkpoint(tmp_path, step)
    assert latest_whole(tmp_path) == tmp_path / "checkpoint-100"
    assert seconds_so_far(tmp_path / "checkpoint-100") == 10.0


@pytest.mark.parametrize("damage", ["truncated", "missing", "unmarked", "bad mark"])
def test_a_damaged_one_is_passed_over_and_removed(tmp_path: Path, damage: str) -> None:
    good, bad = checkpoint(tmp_path, 5), checkpoint(tmp_path, 10)
    match damage:
        case "truncated":
            (bad / "model.safetensors").write_bytes(b"w" * 99)
        case "missing":
            (bad / "optimizer.pt").unlink()
        case "unmarked":
            (bad / "whole.json").unlink()
        case "bad mark":
            (bad / "whole.json").write_text("{")
    assert not is_whole(bad)
    assert latest_whole(tmp_path) == good
    assert not bad.exists()


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    assert latest_whole(tmp_path / "nothing") is None
