"""Another model for a server that runs, with real engines: what has begun ends well, a broken one changes nothing."""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assistant.service import extension
from serving.engine import free_port
from serving.registry import current, promote, rollback
from serving.running import RefusedError, running_servers
from serving.serve import Served, serving_all
from serving.settings import read_settings
from tests.processes import command_line, descendants, still_running
from tests.tiny_model import write_tiny_model
from tests.wire import CHAT, HELLO

TOKENS = 300
LONG = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": TOKENS, "ignore_eos": True}


@pytest.fixture(scope="module")
def served(taught_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that was started without naming a model; beside the default one there are others."""
    home = tmp_path_factory.mktemp("promoting")
    models = home / "models"
    shutil.copytree(taught_model, models / "almanac")
    write_tiny_model(models / "babbler", seed=1)
    shutil.copytree(models / "babbler", models / "strange")
    config = json.loads((models / "strange" / "config.json").read_text())
    (models / "strange" / "config.json").write_text(json.dumps(config | {"architectures": ["NoSuchModel"]}))
    write_without_numbers(shutil.copytree(models / "babbler", models / "nowhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(home))
        settings = read_settings(port=free_port(), dtype="float32", images=False)
        with serving_all(settings, None, [extension]) as served:
            served.engine.wait_ready()
            yield served


def write_without_numbers(folder: Path) -> None:
    """Make every weight of a model NaN."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    broken = {name: tensor.fill_(float("nan")) for name, tensor in weights.items()}
    save_file(broken, folder / "model.safetensors", metadata={"format": "pt"})


def engine_processes(base_url: str) -> list[int]:
    """Those of the vLLM that listens there."""
    port = base_url.removesuffix("/v1").rpartition(":")[2]
    return [pid for pid in descendants(os.getpid()) if f"--port {port} " in command_line(pid)]


def stream(served: Served) -> Iterator[dict]:
    """The chunks of a long answer of the model that `almanac` stands for, up to [DONE]."""
    asked = CHAT | LONG | {"model": "almanac", "temperature": 1}
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=asked, timeout=300) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line == "data: [DONE]":
                return
            if line.startswith("data: "):  # there are signs of life as well
                yield json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream was cut")


def ask(served: Served, model: str) -> dict:
    asked = CHAT | {"model": model, "max_tokens": 40}
    answer = httpx.post(f"{served.url}/v1/chat/completions", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


@contextlib.contextmanager
def held_up(pids: list[int]) -> Iterator[None]:
    """What these processes are doing takes as long as the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_streams_in_flight_end_well_while_new_requests_go_to_the_new_model(served: Served) -> None:
    assert running_servers() == [served.url]
    assert ask(served, "almanac")["choices"][0]["message"]["content"] == HELLO
    old = engine_processes(served.engine.base_url)
    assert old
    streams = [stream(served) for _ in range(2)]
    began = [[next(one) for _ in range(3)] for one in streams]
    with held_up(old):
        promotion = promote("babbler", "a test")
        answers = [ask(served, name) for name in ("babbler", "almanac")]
    ended = [[*beginning, *rest] for beginning, rest in zip(began, streams, strict=True)]
    assert {answer["model"] for answer in answers} == {"babbler"}
    for chunks in ended:
        assert not [chunk for chunk in chunks if "error" in chunk]
        assert {chunk["model"] for chunk in chunks} == {"almanac"}
        assert chunks[-1]["usage"]["completion_tokens"] == TOKENS
    assert (current(), promotion.parent, promotion.reason) == (promotion, "almanac", "a test")
    assert still_running(old, within_s=60) == []


def test_everybody_hears_of_the_new_model(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=60, headers={"X-Homegrown": "1"}) as http:
        cards = {card["id"]: card["root"] for card in http.get("/v1/models").json()["data"]}
        assert cards == {"babbler": "babbler", "almanac": "babbler", "assistant": "assistant"}
        assert http.get("/ready").status_code == 200
        assert 'homegrown_engine_ready{engine="text"} 1.0' in http.get("/metrics").text
        told = http.get("/api/promotions").json()
        assert (told["model"], [change["name"] for change in told["data"]]) == ("babbler", ["babbler"])
        conversation = http.post("/api/conversations", json={"model": "babbler"}).json()["id"]
        begun = http.post(f"/api/conversations/{conversation}/turns", json={"content": "hi"}).json()
        assert begun["assistant"]["model"] == "babbler"
        # One that was begun with the model before goes on with the one that its name stands for now.
        older = http.post("/api/conversations", json={"model": "almanac"}).json()["id"]
        begun = http.post(f"/api/conversations/{older}/turns", json={"content": "hi"}).json()
        assert begun["assistant"]["model"] == "babbler"


def test_what_is_refused_at_once_is_told_as_openai_tells_errors(served: Served) -> None:
    for model, status, code in (("nobody", 400, "unusable_model"), ("../babbler", 400, "invalid_value")):
        answer = httpx.post(f"{served.url}/api/promotions", json={"model": model}, headers={"X-Homegrown": "1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_rollback_goes_back(served: Served) -> None:
    assert rollback("it babbles").name == "almanac"
    assert current() is None
    for name in ("almanac", "babbler"):
        answer = ask(served, name)
        assert (answer["model"], answer["choices"][0]["message"]["content"]) == ("almanac", HELLO)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("strange", r"^The engine of strange does not run \(.+\): see .*\.log; almanac goes on serving\.$"),
        ("nowhere", r"^The model nowhere .+; almanac goes on serving\.$"),
    ],
)
def test_a_model_that_cannot_be_served_changes_nothing(served: Served, model: str, why: str) -> None:
    before = current()
    with pytest.raises(RefusedError, match=why):
        promote(model)
    assert ask(served, "babbler")["model"] == "almanac"
    assert current() == before
