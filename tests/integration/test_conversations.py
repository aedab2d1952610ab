"""Conversations on the page's API with a real vLLM: answered, stopped, and the engine killed in the middle."""

import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Api
from tests.page_events import events, last
from tests.processes import command_line, descendants


@pytest.fixture
def http(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, headers={"X-Homegrown": "1"}, timeout=120) as http:
        yield http


def ask(http: httpx.Client, content: str) -> tuple[str, str]:
    """Ids of a new conversation and of the answer that is begun in it."""
    conversation = http.post("/api/conversations", json={}).json()["id"]
    begun = http.post(f"/api/conversations/{conversation}/turns", json={"content": content})
    assert begun.status_code == 202, begun.text
    return conversation, begun.json()["assistant"]["id"]


def sung(http: httpx.Client) -> tuple[str, Iterator[tuple[str, dict]]]:
    """An answer that goes on and on, and its events from the first text on."""
    _, answer = ask(http, "Sing.")
    following = events(http, answer)
    for name, data in following:
        if name == "text" or data.get("content"):
            return answer, following
    raise AssertionError("nothing was sung")


def is_song(text: str) -> bool:
    """Whether it is the beginning of the song that the taught model sings."""
    return bool(text) and ("la " * 400).startswith(text)


def running(api: Api) -> float:
    """Sequences that the engine works on, by its own metrics."""
    with urllib.request.urlopen(api.engine.base_url.removesuffix("/v1") + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running"))


def wait(happened: object, within_s: float = 180) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_question_and_a_tool(http: httpx.Client) -> None:
    conversation, answer = ask(http, "What is 12 * 7?")
    name, data = last(http, answer)
    message = data["message"]
    assert (name, message["content"], message["state"]) == ("done", "12 * 7 is 84.", "done")
    assert [(step["name"], step["said"]) for step in message["steps"]] == [("calculate", "84")]
    assert message["usage"]["completion_tokens"] > 10
    kept = http.get(f"/api/conversations/{conversation}").json()
    assert (kept["title"], kept["messages"][1]) == ("What is 12 * 7?", message)
    assert message["version"]


def test_stopping_stops_the_engine(api: Api, http: httpx.Client) -> None:
    answer, following = sung(http)
    assert running(api) == 1
    assert http.post(f"/api/messages/{answer}/stop").status_code == 204
    wait(lambda: running(api) == 0, within_s=10)
    name, data = list(following)[-1]
    assert (name, data["message"]["state"]) == ("done", "stopped")
    assert is_song(data["message"]["content"])


def test_an_engine_that_is_killed_leaves_what_was_said(api: Api, http: httpx.Client) -> None:
    """Keep it last: the engine needs a while to come back."""
    (core,) = [pid for pid in descendants(os.getpid()) if "EngineCore" in command_line(pid)]
    answer, following = sung(http)
    os.kill(core, signal.SIGKILL)
    try:
        name, data = list(following)[-1]
        assert (name, data["message"]["state"]) == ("error", "failed")
        assert data["error"]["code"] == "engine_unavailable"
        assert is_song(data["message"]["content"])
        assert last(http, answer)[1]["message"] == data["message"]
    finally:  # other tests need the engine
        wait(lambda: http.get("/ready").status_code != 200, within_s=30)
        wait(lambda: http.get("/ready").status_code == 200)
    _, again = ask(http, "hi")
    assert last(http, again)[1]["message"]["content"] == "Hello! How can I help?"
