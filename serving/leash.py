"""Runs a command that must not outlive whoever started it: `python leash.py [--grace SECONDS] COMMAND...`.

Standard input is the leash: when it closes, for whatever reason, a SIGKILL of the owner included, the command and all
its descendants end. As a child subreaper this process inherits every orphan, so grandchildren are found as well.
It runs before anything is installed for it: the standard library only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_S = 8.0


def main(command: list[str]) -> int:
    """Run `command` until it ends or the leash is let go; its exit code."""
    grace_s = GRACE_S
    if command[0] == "--grace":
        grace_s, command = float(command[1]), command[2:]
    _be_nice_as_a_session()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    )
    threading.Thread(target=_end_with_owner, args=(child, grace_s), daemon=True).start()
    code = child.wait()
    _kill_descendants()
    return code if code >= 0 else 128 - code


def _be_nice_as_a_session() -> None:
    """Where Linux schedules sessions as groups, being nice counts only inside one: tell a session that begins here."""
    if os.getsid(0) == os.getpid() and (niceness := os.getpriority(os.PRIO_PROCESS, 0)) > 0:
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))


def _end_with_owner(child: subprocess.Popen, grace_s: float) -> None:
    """Wait for the end of standard input, then ask the command to stop, and kill it when it takes too long."""
    while os.read(0, 1):
        pass
    child.terminate()
    time.sleep(grace_s)
    child.kill()


def _kill_descendants() -> None:
    """Kill children until none is left; an orphaned grandchild becomes a child when its parent is reaped."""
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            os.waitpid(-1, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
