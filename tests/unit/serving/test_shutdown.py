"""The end of a server: running answers finish or are told, whoever comes meanwhile is sent away, nobody is left."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from serving.api.traffic import Traffic
from serving.errors import UserError
from serving.server import HttpServer
from serving.supervisor import keep_running
from tests.processes import descendants, still_running
from tests.unit.serving.test_child_engine import until
from tests.unit.serving.traffic_api import INTERNAL_KEY, build_app, serve_traffic

ROOT = Path(__file__).parents[3]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def asked(pool: ThreadPoolExecutor, traffic: Traffic, url: str) -> Future[httpx.Response]:
    """A request that the server is busy with."""
    before = traffic.running
    answer = pool.submit(httpx.get, url, timeout=60)
    until(lambda: traffic.running > before)
    return answer


def test_running_answers_are_finished(pool: ThreadPoolExecutor) -> None:
    with serve_traffic(build_app(), shutdown_s=30) as (url, traffic):
        answer = asked(pool, traffic, f"{url}/v1/brief")
    assert answer.result().json() == {"done": True}


def test_answers_that_take_too_long_end_as_their_clients_understand(pool: ThreadPoolExecutor) -> None:
    with serve_traffic(build_app(), shutdown_s=0.2) as (url, traffic):
        stream, page, whole = (asked(pool, traffic, url + path) for path in ("/v1/endless", "/api/endless", "/v1/slow"))
    first, error, done, rest = stream.result().text.split("\n\n")
    assert (first, done, rest) == ("data: one", "data: [DONE]", "")
    assert json.loads(error.removeprefix("data: "))["error"]["code"] == "shutting_down"
    assert page.result().text == "data: one\n\n"
    assert whole.result().status_code == 503
    assert whole.result().json()["error"]["code"] == "shutting_down"
    assert int(whole.result().headers["retry-after"]) > 0


def test_while_it_waits_it_answers_only_itself_and_those_who_watch(pool: ThreadPoolExecutor) -> None:
    with serve_traffic(build_app()) as (url, traffic), httpx.Client(base_url=url) as http:
        running = asked(pool, traffic, f"{url}/v1/brief")
        draining = pool.submit(traffic.drain, 30, threading.Event())
        until(lambda: traffic.draining)
        refused = http.get("/v1/things/1")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert http.get("/ready").status_code == 503
        assert http.get("/health").status_code == http.get("/metrics").status_code == 200
        own = {"Authorization": f"Bearer {INTERNAL_KEY}"}
        assert http.get("/v1/things/1", headers=own).status_code == 200
        assert running.result().status_code == 200
        draining.result()


def test_whoever_is_in_a_hurry_does_not_wait(pool: ThreadPoolExecutor) -> None:
    hurry = threading.Event()
    with serve_traffic(build_app()) as (url, traffic):
        answer = asked(pool, traffic, f"{url}/v1/endless")
        draining = pool.submit(traffic.drain, 600, hurry)
        hurry.set()
        draining.result(timeout=30)
    assert "shutting_down" in answer.result().text


def test_what_keeps_the_server_from_starting_is_told() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise UserError("The database is upside down.")
        yield

    with (
        pytest.raises(UserError, match="upside down"),
        HttpServer(FastAPI(lifespan=lifespan), socket.create_server(("127.0.0.1", 0))),
    ):
        pass


# Writes down who it is, and starts somebody who must not outlive it.
SERVER = """
import os, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()} {child.pid}\\n")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
time.sleep(600)
"""


class Supervised:
    """A supervisor in a process of its own; `lives` are the pids of each server and its child, so far."""

    def __init__(self, folder: Path, program: str = SERVER) -> None:
        self._file = folder / "lives"
        code = f"import sys\nfrom {keep_running.__module__} import keep_running\n"
        code += f"sys.exit(keep_running(['-c', {program!r}, {str(self._file)!r}], 1.0))"
        self.process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)

    @property
    def lives(self) -> list[list[int]]:
        if not self._file.exists():
            return []
        return [[int(pid) for pid in line.split()] for line in self._file.read_text().splitlines()]

    def __enter__(self) -> "Supervised":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_killed_server_is_started_again_and_its_engines_are_not_orphaned(tmp_path: Path) -> None:
    with Supervised(tmp_path) as supervised:
        for life in range(3):
            until(lambda: len(supervised.lives) == life + 1)  # noqa: B023 - asked at once
            os.kill(supervised.lives[life][0], signal.SIGKILL)
            assert still_running(supervised.lives[life], within_s=10) == []
        until(lambda: len(supervised.lives) == 4)
        family = descendants(supervised.process.pid)
        supervised.process.send_signal(signal.SIGTERM)
        _, errors = supervised.process.communicate(timeout=30)
        assert supervised.process.returncode == 0
        assert errors.count("\n") == 3
        assert "the server died (exit code 137) and is started again" in errors
        assert still_running(family, within_s=5) == []


def test_nobody_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with Supervised(tmp_path) as supervised:
        until(lambda: supervised.lives)
        supervised.process.send_signal(signal.SIGKILL)
        assert still_running(supervised.lives[0], within_s=30) == []


@pytest.mark.parametrize("code", [0, 2, 5])
def test_a_server_that_ends_by_its_own_decision_stays_ended(tmp_path: Path, code: int) -> None:
    with Supervised(tmp_path, f"import sys; open(sys.argv[1], 'a').write('1\\n'); sys.exit({code})") as supervised:
        assert supervised.process.wait(timeout=30) == code
        assert len(supervised.lives) == 1


def test_a_crash_is_not_an_end(tmp_path: Path) -> None:
    crash = "import sys; open(sys.argv[1], 'a').write('1\\n'); raise ValueError('a defect')"
    with Supervised(tmp_path, crash) as supervised:
        until(lambda: len(supervised.lives) == 2)
        began = time.monotonic()
        supervised.process.send_signal(signal.SIGINT)
        supervised.process.wait(timeout=30)
        assert time.monotonic() - began < 30
