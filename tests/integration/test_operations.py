"""A supervised server, operated: watched, its engine and itself killed, and stopped. The tests build on each other."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving.engine import free_port
from tests.processes import descendants, still_running
from tests.wire import CHAT

# Each of the first four waits for an engine to load its packages, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1200)

ROOT = Path(__file__).parents[2]
MODEL = CHAT["model"]
ENDLESS = CHAT | {"stream": True, "max_tokens": 600, "temperature": 1, "ignore_eos": True}


class Operated:
    """`homegrown serve --supervise` with a home of its own; its log is kept."""

    def __init__(self, model: Path, home: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = home / "stderr"
        command = [sys.executable, "homegrown.py", "serve", str(model), "--port", str(port)]
        with self._log.open("w") as log:
            self.supervisor = subprocess.Popen(
                [*command, "--supervise", "--no-images"],
                cwd=ROOT,
                env={**os.environ, "HOMEGROWN_HOME": str(home), "HOMEGROWN_SHUTDOWN_S": "2"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        headers = {"X-Homegrown": "1"}
        self.http = httpx.Client(base_url=self.url, timeout=60, headers=headers)

    def wait(self, happened: Callable[[], bool], within_s: float = 600) -> None:
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
        self.wait(lambda: self.status("/ready") == 200)

    def one_of(self, pattern: str) -> int:
        """The process below the supervisor whose command line matches."""
        (pid,) = [pid for pid in descendants(self.supervisor.pid) if re.search(pattern, command_line(pid))]
        return pid

    def server(self) -> int:
        return self.one_of(r"^\S+ homegrown\.py serve")

    def metric(self, series: str) -> float:
        (line,) = re.findall(rf"^{re.escape(series)} (\S+)$", self.metrics(), re.MULTILINE)
        return float(line)

    def metrics(self) -> str:
        return self.http.get("/metrics").text

    def running_in_the_engine(self) -> float:
        return sum(map(float, re.findall(r"^vllm:num_requests_running\{.*\} (\S+)$", self.metrics(), re.MULTILINE)))

    def logged(self) -> list[dict]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def streams(self, number: int) -> "Streams":
        return Streams(self.url, number)

    def stop(self) -> None:
        self.http.close()
        if self.supervisor.poll() is None:
            self.supervisor.terminate()
            self.supervisor.wait(timeout=120)


class Streams:
    """Endless streams in threads of their own; `texts` is what each got, once all have ended."""

    def __init__(self, url: str, number: int) -> None:
        self.texts: list[str] = []
        self._url = url
        self._threads = [threading.Thread(target=self._read) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        text = ""
        try:
            with httpx.stream("POST", f"{self._url}/v1/chat/completions", json=ENDLESS, timeout=120) as answer:
                for piece in answer.iter_text():
                    text += piece
        except httpx.TransportError:
            text += "CUT"
        self.texts.append(text)

    def ended(self) -> list[str]:
        for thread in self._threads:
            thread.join(120)
        return self.texts


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def error_code(stream: str) -> str:
    """The code of the error that a stream ends with, before its [DONE]."""
    *_, error, done, rest = stream.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return json.loads(error.removeprefix("data: "))["error"]["code"]


@pytest.fixture(scope="module")
def operated(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    operated = Operated(taught_model, tmp_path_factory.mktemp("operated"))
    try:
        yield operated
    finally:
        operated.stop()


def test_it_lives_before_it_is_ready(operated: Operated) -> None:
    operated.wait(lambda: operated.status("/health") == 200)
    starting = operated.http.get("/ready")
    assert (starting.status_code, starting.json()["error"]["code"]) == (503, "engine_unavailable")
    assert operated.metric('homegrown_engine_ready{engine="text"}') == 0
    operated.wait_ready()
    assert operated.metric('homegrown_engine_ready{engine="text"}') == 1


def test_what_is_counted_and_logged(operated: Operated) -> None:
    answer = operated.http.post("/v1/chat/completions", json=CHAT)
    stream = operated.http.post("/v1/chat/completions", json=CHAT | {"stream": True})
    usage = answer.json()["usage"]
    operated.wait(lambda: len([line for line in operated.logged() if line.get("status") == 200]) == 2)
    assert operated.metric('homegrown_requests_total{route="/v1/chat/completions",status="200"}') == 2
    assert operated.metric("homegrown_first_token_seconds_count") == 1
    assert operated.metric(f'homegrown_generated_tokens_total{{model="{MODEL}"}}') == 2 * usage["completion_tokens"]
    assert operated.running_in_the_engine() == 0
    lines = [line for line in operated.logged() if line.get("status") == 200]
    assert [line["id"] for line in lines] == [one.headers["x-request-id"] for one in (answer, stream)]
    assert {line["model"] for line in lines} == {MODEL}
    assert {line["generated_tokens"] for line in lines} == {usage["completion_tokens"]}
    assert {line["user"] for line in lines} == {"local"}
    assert answer.json()["choices"][0]["message"]["content"] not in json.dumps(operated.logged())


def test_a_killed_engine_is_told_to_everybody_counted_and_comes_back(operated: Operated) -> None:
    began = operated.metric("process_start_time_seconds")
    streams = operated.streams(8)
    operated.wait(lambda: operated.running_in_the_engine() == 8)
    os.kill(operated.one_of("EngineCore"), signal.SIGKILL)
    assert {error_code(stream) for stream in streams.ended()} == {"engine_unavailable"}
    operated.wait(lambda: operated.status("/ready") == 503)
    assert operated.status("/health") == 200
    operated.wait_ready()
    assert operated.metric('homegrown_engine_restarts_total{engine="text"}') == 1
    assert operated.metric("process_start_time_seconds") == began
    assert operated.http.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_killed_server_comes_back_and_knows_every_conversation(operated: Operated) -> None:
    http = operated.http
    conversation = http.post("/api/conversations", json={"model": MODEL}).json()["id"]
    engine = operated.one_of("EngineCore")
    os.kill(engine, signal.SIGSTOP)  # so that the answer cannot be over before the server is killed
    asked = http.post(f"/api/conversations/{conversation}/turns", json={"parent_id": None, "content": "hi there"})
    assert asked.status_code == 202
    family = [pid for pid in descendants(operated.supervisor.pid) if pid != operated.one_of("leash.py --grace")]
    os.kill(operated.server(), signal.SIGKILL)
    assert still_running(family, within_s=60) == []
    operated.wait(lambda: operated.status("/health") == 200)
    user, assistant = http.get(f"/api/conversations/{conversation}").json()["messages"]
    assert (user["content"], user["state"]) == ("hi there", "done")
    assert (assistant["id"], assistant["state"]) == (asked.json()["assistant"]["id"], "interrupted")
    operated.wait_ready()
    again = http.post(f"/api/messages/{assistant['id']}/regenerate", json={})
    assert again.status_code == 202
    answer = again.json()["assistant"]["id"]
    operated.wait(lambda: state_of(http, conversation, answer) == "done")


def state_of(http: httpx.Client, conversation: str, message: str) -> str:
    messages = http.get(f"/api/conversations/{conversation}").json()["messages"]
    return next(one["state"] for one in messages if one["id"] == message)


def test_when_it_is_stopped_streams_are_told_and_nobody_is_left(operated: Operated) -> None:
    streams = operated.streams(4)
    operated.wait(lambda: operated.running_in_the_engine() == 4)
    family = descendants(operated.supervisor.pid)
    operated.supervisor.send_signal(signal.SIGTERM)
    ends = [stream if stream.endswith("data: [DONE]\n\n") else "" for stream in streams.ended()]
    assert all(ends)
    assert {error_code(stream) for stream in ends if '"error"' in stream} <= {"shutting_down"}
    assert operated.supervisor.wait(timeout=120) == 0
    assert still_running(family, within_s=5) == []
