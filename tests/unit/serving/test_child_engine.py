"""The life of an engine's process, with servers of a few lines in place of the real ones."""

import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from serving.child_engine import ChildEngine
from serving.engine import EngineError, free_port, is_healthy
from serving.errors import UserError
from tests.processes import still_running

SERVER = """
import http.server, os, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.getpid()} {os.getppid()}".encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
SLOW = "import time; print('warming up now', flush=True); time.sleep(600)"
BROKEN = "print('NOISE and more'); raise ValueError('the model is upside down')"


class Child(ChildEngine):
    """Runs a Python program with the port as its argument."""

    log_name = "child.log"
    stages = {"warming up now": "warming up"}  # noqa: RUF012 - read only
    chatter = re.compile("^NOISE")

    def __init__(self, program: str, start_s: float = 60.0, ready_to_start: threading.Event | None = None) -> None:
        self.stages_seen: list[str] = []
        super().__init__(start_s, lambda seconds, stage: self.stages_seen.append(stage))
        self._program, self._ready_to_start = program, ready_to_start

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def command(self) -> list[str]:
        return [sys.executable, "-c", self._program, str(self._port)]

    def environment(self) -> dict[str, str]:
        return {}

    def _prepare(self) -> None:
        while self._ready_to_start and not self._stopping.wait(0.05):
            if self._ready_to_start.is_set():
                raise UserError("There is nothing to start.")

    def _failure(self, said: str) -> EngineError:
        return EngineError(f"It does not run ({said}).")


def family(engine: Child) -> list[int]:
    """The server and its leash, as the server says it: other tests' processes are below ours as well."""
    with urllib.request.urlopen(engine.base_url) as answer:
        return [int(pid) for pid in answer.read().split()]


def kill(engine: Child) -> None:
    os.kill(family(engine)[0], signal.SIGKILL)


def until(happened: object, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_it_is_ready_inside_the_block_and_gone_after_it() -> None:
    with Child(SERVER) as engine:
        assert engine.state.name == "ready"
        assert engine.settled.is_set()
        ours = family(engine)
        assert still_running(ours, within_s=0) == ours
    assert engine.state.name == "stopped"
    assert still_running(ours, within_s=5) == []


def test_a_killed_child_comes_back() -> None:
    with Child(SERVER) as engine:
        before = engine.base_url
        kill(engine)
        until(lambda: engine.state.name == "restarting")
        until(lambda: engine.state.name == "ready")
        assert engine.base_url != before


def test_a_port_where_something_else_answers_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: other.accept()[0].sendall(b"nonsense\r\n\r\n"), daemon=True).start()
        assert not is_healthy(f"http://127.0.0.1:{other.getsockname()[1]}/v1")


def test_one_that_is_killed_again_and_again_is_never_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.child_engine.LONGEST_PAUSE_S", 0.1)
    with Child(SERVER) as engine:
        for restarts in range(1, 6):
            kill(engine)
            until(lambda restarts=restarts: engine.restarts >= restarts)
            until(lambda: engine.state.name == "ready")


def test_one_that_no_longer_comes_up_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("serving.child_engine.LONGEST_PAUSE_S", 0.1)
    needed = tmp_path / "needed"
    needed.touch()
    with Child(f"open({str(needed)!r})\n{SERVER}") as engine:
        needed.unlink()
        kill(engine)
        until(lambda: engine.state.name == "failed")
        assert "needed" in str(engine.error)


def test_one_that_never_comes_up_is_given_up_with_its_last_words() -> None:
    engine = Child(BROKEN)
    with pytest.raises(EngineError, match=r"^It does not run \(ValueError: the model is upside down\)\.$"):
        engine.__enter__()
    assert engine.log.read_text().count("upside down") == 1  # it was not tried again


def test_one_that_takes_too_long_is_ended_and_its_stages_are_told() -> None:
    engine = Child(SLOW, start_s=2.0)
    engine.start()
    with pytest.raises(EngineError, match="It does not run"):
        engine.wait_ready()
    engine.stop()
    assert engine.stages_seen[-1] == "warming up"


def test_it_can_be_stopped_while_it_starts_and_while_it_waits_to_start() -> None:
    for engine in (Child(SLOW), Child(SERVER, ready_to_start=threading.Event())):
        engine.start()
        engine.stop()
        assert engine.state.name == "stopped"
        assert engine.error is None


def test_what_cannot_be_prepared_is_told() -> None:
    ready = threading.Event()
    engine = Child(SERVER, ready_to_start=ready)
    engine.start()
    assert (engine.state.name, engine.settled.is_set()) == ("starting", False)
    ready.set()
    with pytest.raises(UserError, match="nothing to start"):
        engine.wait_ready()
    assert engine.state.name == "failed"
    engine.stop()


def test_the_log_is_kept_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.setattr("serving.child_engine.LOG_LIMIT_BYTES", 100)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "child.log").write_text("x" * 101)
    with Child(SERVER) as engine:
        assert engine.log.stat().st_size < 100
    assert (tmp_path / "logs" / "child.old.log").stat().st_size == 101


def test_each_engine_has_a_port_of_its_own() -> None:
    assert Child(SERVER).base_url != Child(SERVER).base_url
    assert free_port() > 0
