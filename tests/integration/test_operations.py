"""A supervised server, operated: watched, its engine and itself killed, and stopped. The tests build on each other."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.operated import Operated
from tests.processes import descendants, still_running
from tests.wire import CHAT

# Each of the first four waits for an engine to load its packages, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1200)

MODEL = CHAT["model"]
ENDLESS = CHAT | {"stream": True, "max_tokens": 600, "temperature": 1, "ignore_eos": True}


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


def error_code(stream: str) -> str:
    """The code of the error that a stream ends with, before its [DONE]."""
    *_, error, done, rest = stream.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return json.loads(error.removeprefix("data: "))["error"]["code"]


@pytest.fixture(scope="module")
def operated(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    operated = Operated(taught_model, tmp_path_factory.mktemp("operated"), "--no-images", HOMEGROWN_SHUTDOWN_S="2")
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
    streams = Streams(operated.url, 8)
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
    streams = Streams(operated.url, 4)
    operated.wait(lambda: operated.running_in_the_engine() == 4)
    family = descendants(operated.supervisor.pid)
    operated.supervisor.send_signal(signal.SIGTERM)
    ends = [stream if stream.endswith("data: [DONE]\n\n") else "" for stream in streams.ended()]
    assert all(ends)
    assert {error_code(stream) for stream in ends if '"error"' in stream} <= {"shutting_down"}
    assert operated.supervisor.wait(timeout=120) == 0
    assert still_running(family, within_s=5) == []
