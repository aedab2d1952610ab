"""Who runs on this machine, for tests that must leave nobody behind."""

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
