"""Who runs on this machine, for tests that must leave nobody behind or wait for somebody."""

import os
import signal
import subprocess
import time
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """All processes below `pid`."""
    lists = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    children = [int(child) for children in lists for child in children]
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def still_running(pids: list[int], within_s: float) -> list[int]:
    """Those of `pids` that run after at most `within_s` seconds of waiting for all of them to end."""
    deadline = time.monotonic() + within_s
    while alive := [pid for pid in pids if _runs(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return alive


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end_with_stacks(process: subprocess.Popen) -> None:
    """End `process` and all below it; started with `PYTHONFAULTHANDLER=1`, each writes down where it was."""
    below = descendants(process.pid)
    process.send_signal(signal.SIGSTOP)  # it must still be where it was when those below it are gone
    for pid in below:
        if _runs(pid):
            os.kill(pid, signal.SIGABRT)
    time.sleep(1)
    process.send_signal(signal.SIGABRT)
    process.send_signal(signal.SIGCONT)
    process.wait()


def logs_in(folder: Path) -> str:
    """The last lines of all logs below `folder`."""
    return "\n".join(f"{path}\n{path.read_text(errors='replace')[-5000:]}" for path in sorted(folder.rglob("*.log")))


def command_line(pid: int) -> str:
    """What the process was started as, or has named itself since; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
