"""Ranks live and die together."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from serving.errors import UserError
from training import launch
from training.launch import Layout, layout_for, run_ranks

TWO = Layout("cpu", 2, 1)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job file beside which a test puts the module `work`, which the ranks then run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "job.json").write_text("{}")
    return tmp_path / "job.json"


def write_work(job: Path, body: str) -> None:
    (job.parent / "work.py").write_text(
        "import os, time\ndef main(job):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    )


def test_every_rank_runs_with_its_number(job: Path) -> None:
    write_work(job, 'job.with_name("rank" + os.environ["RANK"]).write_text(os.environ["OMP_NUM_THREADS"])')
    run_ranks("work", job, TWO)
    assert [(job.parent / f"rank{rank}").read_text() for rank in range(2)] == ["1", "1"]


def test_one_process_needs_no_rank(job: Path) -> None:
    write_work(job, 'job.with_name("alone").write_text(str("RANK" in os.environ))')
    run_ranks("work", job, Layout("cpu", 1, 2))
    assert (job.parent / "alone").read_text() == "False"


def test_what_a_rank_says_to_the_user_arrives(job: Path) -> None:
    write_work(job, 'from serving.errors import UserError; raise UserError("Not today.")')
    with pytest.raises(UserError, match=r"^Not today\.$"):
        run_ranks("work", job, TWO)


def test_when_one_fails_the_others_are_ended(job: Path) -> None:
    write_work(
        job,
        """
        job.with_name("pid" + os.environ["RANK"]).write_text(str(os.getpid()))
        if os.environ["RANK"] == "1":
            raise ValueError("broken")
        time.sleep(600)
        """,
    )
    with pytest.raises(UserError, match=r"Process 1 of work ended with exit code 1.*rank1\.log"):
        run_ranks("work", job, TWO)
    assert "ValueError: broken" in (job.parent / "job.rank1.log").read_text()
    pids = [int(path.read_text()) for path in job.parent.glob("pid*")]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_killed_rank_is_named(job: Path) -> None:
    write_work(job, "os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match=r"was killed by SIGKILL \(out of memory\?\)"):
        run_ranks("work", job, Layout("cpu", 1, 1))


def test_a_full_disk_is_one_sentence(job: Path) -> None:
    write_work(job, "raise OSError(28, 'No space left on device')")
    with pytest.raises(UserError, match="is full: free some room"):
        run_ranks("work", job, TWO)


@pytest.mark.parametrize("signal", [9, 15, 2])
def test_ranks_die_with_their_parent(job: Path, signal: int) -> None:
    write_work(job, 'job.with_name("pid" + os.environ["RANK"]).write_text(str(os.getpid())); time.sleep(600)')
    script = f"""
        from pathlib import Path
        from training.launch import Layout, run_ranks
        run_ranks("work", Path({str(job)!r}), Layout("cpu", 2, 1))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(pids := [path for path in job.parent.glob("pid*") if path.read_text()]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ranks = [int(path.read_text()) for path in pids]
    parent.send_signal(signal)
    parent.wait()
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in ranks):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_small_models_get_a_process_a_core_and_large_ones_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "cores", lambda: 6)
    assert layout_for(rows=32, parameters=10**6) == Layout("cpu", 4, 1)
    assert layout_for(rows=36, parameters=10**6) == Layout("cpu", 6, 1)
    assert layout_for(rows=32, parameters=10**8) == Layout("cpu", 1, 6)
    assert layout_for(rows=32, parameters=10**6, processes=2) == Layout("cpu", 2, 3)


@pytest.mark.parametrize("cores", [2, 16, 32])
@pytest.mark.parametrize("processes", ["auto", 16])
@pytest.mark.parametrize("rows", [2, 3, 7, 16, 64])
def test_no_process_has_fewer_rows_than_it_needs(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: str | int, rows: int
) -> None:
    monkeypatch.setattr(launch, "cores", lambda: cores)
    for count in (0, 8):
        monkeypatch.setattr(launch, "gpus", lambda count=count: count)
        layout = layout_for(rows, parameters=10**6, processes=processes, fewest=2)
        assert rows % layout.processes == 0
        assert rows // layout.processes >= 2


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= launch.cores() <= os.cpu_count()
