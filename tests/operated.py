"""`homegrown serve --supervise` as a process of its own, to be watched, and to have its processes killed."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from serving.engine import free_port
from tests.processes import command_line, descendants

ROOT = Path(__file__).parents[1]


class Operated:
    """A supervised server of `model` with the home `home`; its log is kept. `variables` are set for it."""

    def __init__(self, model: Path, home: Path, *flags: str, **variables: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = home / "stderr"
        command = [sys.executable, "homegrown.py", "serve", str(model), "--port", str(port), "--supervise", *flags]
        with self._log.open("w") as log:
            self.supervisor = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "HOMEGROWN_HOME": str(home), **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        headers = {"X-Homegrown": "1"}
        self.http = httpx.Client(base_url=self.url, timeout=60, headers=headers)

    def wait(self, happened: Callable[[], bool], within_s: float = 600) -> None:
        """Return when it has happened; with the end of the log as an `AssertionError` when it does not."""
        deadline = time.monotonic() + within_s
        while not happened():
            assert time.monotonic() < deadline, self._log.read_text()[-3000:]
            time.sleep(0.2)

    def status(self, path: str) -> int:
        """0 while nobody answers."""
        try:
            return self.http.get(path).status_code
        except httpx.TransportError:
            return 0

    def wait_ready(self) -> None:
        """Return when a question would be answered."""
        self.wait(lambda: self.status("/ready") == 200)

    def one_of(self, pattern: str) -> int:
        """The process below the supervisor whose command line matches."""
        (pid,) = [pid for pid in descendants(self.supervisor.pid) if re.search(pattern, command_line(pid))]
        return pid

    def server(self) -> int:
        """The process that answers."""
        return self.one_of(r"^\S+ homegrown\.py serve")

    def metric(self, series: str) -> float:
        """The value of one series."""
        (line,) = re.findall(rf"^{re.escape(series)} (\S+)$", self.metrics(), re.MULTILINE)
        return float(line)

    def metrics(self) -> str:
        """All of them, as Prometheus reads them."""
        return self.http.get("/metrics").text

    def running_in_the_engine(self) -> float:
        """Sequences that vLLM works on, by its own metrics."""
        return sum(map(float, re.findall(r"^vllm:num_requests_running\{.*\} (\S+)$", self.metrics(), re.MULTILINE)))

    def logged(self) -> list[dict]:
        """The lines of the log that are our own."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def stop(self) -> None:
        """End it as an operator would."""
        self.http.close()
        if self.supervisor.poll() is None:
            self.supervisor.terminate()
            self.supervisor.wait(timeout=120)
