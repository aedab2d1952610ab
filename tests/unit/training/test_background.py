"""An image model that grows in the background: the lowest priority, gone with its owner, and on with it next time."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serving.errors import UserError
from serving.images.folder import check_image_folder
from serving.images.growth import growth, last_growth
from tests.processes import descendants, still_running
from tests.unit.training.conftest import ROOT, Workshop, ranks_of
from tests.unit.training.images.test_training import TINY
from training.background import growing, is_unfinished
from training.pipeline import run_recipe
from training.recipe import load_recipe

PATIENCE_S = 600  # on a machine that has other things to do, the lowest priority is slow
OWNER = """
import sys, time
from training.background import growing
with growing(sys.argv[1]):
    time.sleep(600)
"""


def new_children(before: list[psutil.Process]) -> list[psutil.Process]:
    """Our children that are not among those `before`: the session's server may be one."""
    return [child for child in psutil.Process().children() if child not in before]


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop(tmp_path, {"name": "small", "seed": 3, "images": TINY | {"budget": "480 images", "processes": 1}})
    monkeypatch.setenv("HOMEGROWN_HOME", str(made.home))
    return made


def niceness_of_session(pid: int) -> str:
    """ "nice 19" where Linux schedules by sessions, "" for a process that is in none of them (a container's first)."""
    return Path(f"/proc/{pid}/autogroup").read_text().partition(" ")[2].strip()


def test_it_grows_at_the_lowest_priority_and_ends_with_its_block(workshop: Workshop) -> None:
    assert is_unfinished(str(workshop.path))
    others = psutil.Process().children()
    with growing(str(workshop.path)):
        assert str(growth("small")) == "it has only just begun"
        (leashed,) = new_children(others)
        until(lambda: any(child.nice() == 19 for child in leashed.children()))
        family = [leashed.pid, *descendants(leashed.pid)]
        if Path("/proc/self/autogroup").exists():
            until(lambda: niceness_of_session(family[-1]) == "nice 19")
            assert niceness_of_session(os.getpid()) != "nice 19"
    assert still_running(family, within_s=10) == []
    assert growth("small") is None
    assert last_growth("small").share == 0


def test_killed_with_its_owner_it_goes_on_where_it_was(workshop: Workshop) -> None:
    """And tells how far it is, from the first checkpoint on with a model that can be used."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(workshop.path)], cwd=ROOT)
    checkpoints = workshop.home / "runs" / "small" / "images" / "checkpoints"
    until(lambda: any(checkpoints.glob("*/whole.json")))
    until(lambda: any(rank.nice() == 19 for rank in ranks_of(workshop)))
    family = descendants(owner.pid)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert still_running(family, within_s=20) == []
    check_image_folder(workshop.home / "models" / "small")
    before = growth("small").share
    assert 0 < before < 1
    assert is_unfinished(str(workshop.path))
    others = psutil.Process().children()
    with growing(str(workshop.path)):
        assert growth("small").share == before
        until(lambda: not is_unfinished(str(workshop.path)))
        until(lambda: not new_children(others))
    assert growth("small") is None
    assert last_growth("small") is None
    first_told = (workshop.home / "logs" / "growing-small.log").read_text().split("step ")[1]
    assert int(first_told.partition("/")[0]) > 10


def test_a_recipe_that_cannot_be_grown_is_told_in_the_log(workshop: Workshop) -> None:
    workshop.recipe["images"]["sizes"] = 48
    others = psutil.Process().children()
    with growing(str(workshop.path)):
        until(lambda: not new_children(others))
    assert "did you mean size?" in (workshop.home / "logs" / "growing-small.log").read_text()
    assert growth("small") is None


def test_a_recipe_is_grown_by_one_process_at_a_time(workshop: Workshop) -> None:
    run = workshop.home / "runs" / "small"
    run.mkdir(parents=True)
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="grown by another process"):
            run_recipe(load_recipe(str(workshop.path)))
    assert [file.name for file in run.iterdir()] == ["lock"]


def test_what_is_unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    assert is_unfinished("images")
    (tmp_path / "models" / "images").mkdir(parents=True)
    assert not is_unfinished("images")  # somebody's own
    (tmp_path / "runs" / "images" / "images").mkdir(parents=True)
    assert is_unfinished("images")
    (tmp_path / "runs" / "images" / "images" / "stamp.json").touch()
    assert not is_unfinished("images")
    (tmp_path / "models" / "images").rmdir()
    assert is_unfinished("images")
