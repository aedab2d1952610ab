import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving import leash
from tests.processes import descendants, still_running

# A child that ignores a polite request, with a grandchild in a session of its own and a pipe to nobody.
FAMILY = "trap '' TERM; setsid sleep 600 & setsid sh -c 'sleep 600 & sleep 600' & while :; do sleep 1; done"
OWNER = f"""
import subprocess, sys, time
command = [sys.executable, {leash.__file__!r}, "sh", "-c", {FAMILY!r}]
subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
time.sleep(600)
"""


def family_of(process: subprocess.Popen, size: int) -> list[int]:
    deadline = time.monotonic() + 20
    while len(family := descendants(process.pid)) < size:
        assert time.monotonic() < deadline, "the family did not start"
        time.sleep(0.05)
    return family


def test_killing_the_owner_ends_all_descendants() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER])
    family = family_of(owner, 7)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert still_running(family, within_s=leash.GRACE_S + 5) == []


def test_exit_code_and_orphans_of_a_command_that_ends_by_itself(tmp_path: Path) -> None:
    left = tmp_path / "orphan"
    command = [sys.executable, leash.__file__, "sh", "-c", f"setsid sleep 600 & echo $! > {left}; exit 7"]
    leashed = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert leashed.wait(timeout=20) == 7
    assert still_running([int(left.read_text())], within_s=5) == []


def test_a_killed_command_is_reported_like_in_a_shell() -> None:
    command = [sys.executable, leash.__file__, "sh", "-c", "kill -KILL $$"]
    assert subprocess.Popen(command, stdin=subprocess.PIPE).wait(timeout=20) == 128 + signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions are not scheduled as groups here")
@pytest.mark.parametrize(("leader", "said"), [([], "nice 7"), (["sh", "-c", '"$@"; exit $?', "sh"], "nice 0")])
def test_a_session_that_begins_with_it_is_as_nice_as_its_owner(leader: list[str], said: str) -> None:
    """What runs at a low priority starts an engine of low priority; a session with another leader is left alone."""
    command = [*leader, "nice", "-n", "7", sys.executable, leash.__file__, "cat", "/proc/self/autogroup"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, start_new_session=True, text=True) as process:
        assert process.stdout.read().strip().endswith(said)
