"""Processes of a training stage: how many, with how many threads, started together and ended together.

`python -m training.launch MODULE JOB` is one rank: it runs `MODULE.main(JOB)`. Ranks find each other as torchrun's
do, through RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and die with the process that started them.
"""

import ctypes
import errno
import importlib
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from serving.errors import UserError
from serving.home import home

LARGEST_DATA_PARALLEL = 20_000_000
PARENT = "HOMEGROWN_PARENT"
POLL_S = 0.05
NO_ROOM = 28  # exit code of a rank that found the disk full


class Layout(NamedTuple):
    """How a stage is spread over the machine."""

    device: str
    processes: int
    threads: int


def cores() -> int:
    """CPU cores this process may use: its affinity, and a container's quota."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def gpus() -> int:
    """NVIDIA GPUs that torch can use, found without importing it."""
    if "+cpu" in importlib.metadata.version("torch") or not shutil.which("nvidia-smi"):
        return 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


def layout_for(rows: int, parameters: int, processes: int | str = "auto", fewest: int = 1) -> Layout:
    """Where and how batches of `rows` rows are trained: one process a GPU; on CPUs one a core for small models.

    Data parallelism beats threads while a step is short, because it meets once a step and threads at every operation.
    The number of processes divides `rows`, of which each has at least `fewest`.
    """
    count, most = gpus(), rows // fewest
    if count:
        return Layout("cuda", _divisor(rows, min(most, count if processes == "auto" else min(processes, count))), 1)
    wanted = processes if processes != "auto" else cores() if parameters <= LARGEST_DATA_PARALLEL else 1
    chosen = _divisor(rows, min(most, wanted))
    return Layout("cpu", chosen, max(1, cores() // chosen))


def _divisor(rows: int, most: int) -> int:
    return next(number for number in range(most, 0, -1) if rows % number == 0)


def run_ranks(module: str, job: Path, layout: Layout) -> None:
    """Run `module.main(job)` in every rank of `layout` and wait for them.

    Raises `UserError` with what a rank had to say; whatever happens, no rank is left behind.
    """
    _message_file(job).unlink(missing_ok=True)
    port = _free_port()
    ranks = [_start_rank(module, job, layout, rank, port) for rank in range(layout.processes)]
    try:
        failed = _wait(ranks)
    finally:
        _end(ranks)
    if failed is None:
        return
    if _message_file(job).exists():
        raise UserError(_message_file(job).read_text(encoding="utf-8"))
    code = ranks[failed].returncode
    if code == NO_ROOM:
        raise UserError(
            f"The disk of {job.parent} is full: free some room, and the same command goes on from the last checkpoint."
        )
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    raise UserError(
        f"Process {failed} of {module} {how}{hint}; what it said last is in {_log_file(job, failed)}: "
        "the same command goes on from the last checkpoint."
    )


def _start_rank(module: str, job: Path, layout: Layout, rank: int, port: int) -> subprocess.Popen:
    environment = {
        **os.environ,
        PARENT: str(os.getpid()),
        "OMP_NUM_THREADS": str(layout.threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(home() / "compiled"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }
    if layout.processes > 1:
        environment |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(layout.processes),
            "LOCAL_WORLD_SIZE": str(layout.processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        if sys.platform == "linux":
            environment["GLOO_SOCKET_IFNAME"] = "lo"
    command = [sys.executable, "-m", "training.launch", module, str(job)]
    root = Path(__file__).parent.parent
    with _log_file(job, rank).open("wb") as log:
        return subprocess.Popen(
            command,
            env={**environment, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
            stdin=subprocess.DEVNULL,
            stdout=log if rank else 2,  # the first rank's live line goes where ours would
            stderr=log,
        )


def _wait(ranks: list[subprocess.Popen]) -> int | None:
    """The number of the first rank that fails, or None when all have ended well."""
    while True:
        codes = [rank.poll() for rank in ranks]
        failed = [number for number, code in enumerate(codes) if code]
        if failed:
            return failed[0]
        if all(code == 0 for code in codes):
            return None
        time.sleep(POLL_S)


def _end(ranks: list[subprocess.Popen]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()
    for rank in ranks:
        rank.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _message_file(job: Path) -> Path:
    return job.with_suffix(".error")


def _log_file(job: Path, rank: int) -> Path:
    return job.with_suffix(f".rank{rank}.log")


def die_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended."""
    parent = int(os.environ.get(PARENT, os.getppid()))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether `error` came from a full disk; torch and safetensors raise errors of their own for it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, (OSError, RuntimeError)) and shutil.disk_usage(folder).free < 2**20


def main(module: str, job: Path) -> int:
    """Be one rank. Returns the exit code; a `UserError` is left in a file for the process that started it."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    try:
        importlib.import_module(module).main(job)
    except UserError as error:
        _message_file(job).write_text(str(error), encoding="utf-8")
        return error.exit_code
    except Exception as error:
        if not is_disk_full(error, job.parent):
            raise
        return NO_ROOM
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is written, and no thread of a library may keep a rank that the others wait for
