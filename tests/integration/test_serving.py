"""The API in front of a real vLLM, asked by the official client and by raw HTTP. One server serves the whole file."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from serving.engine import EngineError, RemoteEngine, free_port
from serving.serve import serving
from serving.settings import read_settings
from serving.text_engine import TextEngine
from tests.conftest import Api
from tests.processes import descendants, still_running
from tests.tiny_model import CONTEXT
from tests.wire import CHAT, assert_openai_error

ROOT = Path(__file__).parents[2]


def test_a_conversation(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "Hello! How can I help?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_many_long_prompts_with_seeds_are_answered_alike_twice(client: openai.OpenAI) -> None:
    def sample(seed: int) -> str:
        asked = [{"role": "user", "content": f"{seed} {'la ' * 200}"}]
        # At 1 the taught model is sure of what it says.
        answer = client.chat.completions.create(model="taught", messages=asked, temperature=2, seed=seed, max_tokens=16)
        return answer.choices[0].message.content

    with ThreadPoolExecutor(32) as pool:
        first, second = (list(pool.map(sample, range(32))) for _ in range(2))
    assert first == second
    assert len(set(first)) > 1


def test_completions_score_a_text(api: Api) -> None:
    # The first token has no probability: OpenAI's null there is not in the client's types.
    with api.client(_strict_response_validation=False) as client:
        scored = client.completions.create(model="taught", prompt="Hello", max_tokens=0, echo=True, logprobs=1)
    assert scored.choices[0].text == "Hello"
    assert scored.choices[0].logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in scored.choices[0].logprobs.token_logprobs[1:])


def test_completions_continue_texts(api: Api, client: openai.OpenAI) -> None:
    whole = client.completions.create(model="taught", prompt=["Hello", "1"], max_tokens=4, temperature=0)
    assert [choice.index for choice in whole.choices] == [0, 1]
    # A chunk before the last has no finish reason: neither OpenAI's nor ours passes the client's types.
    with api.client(_strict_response_validation=False) as lenient:
        chunks = lenient.completions.create(model="taught", prompt="Hello", max_tokens=4, temperature=0, stream=True)
        assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text


def test_health(raw: httpx.Client) -> None:
    assert raw.get("/health").json() == {"status": "ok"}
    assert raw.head("/health").status_code == 200
    assert raw.get("/ready").json() == {"status": "ready"}
    assert raw.head("/ready").status_code == 200


def test_a_client_that_leaves_stops_the_generation(api: Api) -> None:
    endless = {"model": "taught", "prompt": "x", "max_tokens": 1000, "ignore_eos": True, "n": 32}
    for stream in (True, False):
        connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=60)
        body = json.dumps(endless | {"stream": stream})
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        deadline = time.monotonic() + 30
        while not generating(api):
            assert time.monotonic() < deadline, "the engine never began"
            time.sleep(0.02)
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        # 32,000 tokens take this machine ten times longer than noticing that nobody listens.
        left = time.monotonic()
        while generating(api):
            time.sleep(0.02)
        assert time.monotonic() - left < 3


def generating(api: Api) -> float:
    """Sequences that the engine works on, by its own metrics."""
    with urllib.request.urlopen(api.engine.base_url.removesuffix("/v1") + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running"))


def test_an_engine_that_runs_elsewhere(api: Api) -> None:
    remote = RemoteEngine(api.engine.base_url)
    assert (remote.model_name, remote.base_url) == ("taught", api.engine.base_url)
    settings = read_settings(port=free_port(), engine_url=api.engine.base_url.removesuffix("/v1"))
    with serving(settings, None) as (url, _), Api(url, api.engine).client() as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello! How can I help?"
        assert httpx.get(f"{url}/health").status_code == 200
    with pytest.raises(EngineError, match="serves taught, not other"):
        RemoteEngine(api.engine.base_url, "other")
    with pytest.raises(EngineError, match=r"No engine answers at http://127\.0\.0\.1:9/v1 .*leave that address out"):
        RemoteEngine("http://127.0.0.1:9")


def test_vllm_that_is_not_installed(taught_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.text_engine.installed_vllm", lambda: None)
    with pytest.raises(EngineError, match=r"make install.*--engine-url"):
        TextEngine(str(taught_model)).start()


def test_an_engine_that_cannot_start_says_why(taught_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taught_model, tmp_path / "strange"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["NoSuchModel"], "model_type": "none"}))
    with (
        pytest.raises(EngineError, match=r"`none`.*vllm\.log.*--engine-url"),
        TextEngine(str(folder)),
    ):
        pass


def test_a_context_longer_than_the_model_was_made_for(taught_model: Path) -> None:
    with pytest.raises(EngineError, match=f"at most {CONTEXT} tokens, not {CONTEXT * 4}: lower --max-model-len"):
        TextEngine(str(taught_model), max_model_len=CONTEXT * 4)


def test_serve_is_killed_and_nobody_is_left(taught_model: Path, session_home: Path) -> None:
    port = free_port()
    command = [sys.executable, "homegrown.py", "serve", "taught", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            line = server.stdout.readline()
            assert f"taught is ready at http://127.0.0.1:{port}/v1" in line
            family = descendants(server.pid)
            assert len(family) >= 3
            clash = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert clash.returncode == 5
            assert clash.stderr.startswith(f"homegrown: The address 127.0.0.1:{port} cannot be used")
            assert clash.stderr.count("\n") == 1
        finally:
            server.send_signal(signal.SIGKILL)
    assert still_running(family, within_s=15) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_cleanly_even_while_it_starts(taught_model: Path, number: int) -> None:
    command = [sys.executable, "homegrown.py", "serve", "taught", "--port", str(free_port())]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        deadline = time.monotonic() + 60
        while len(family := descendants(server.pid)) < 2:
            assert time.monotonic() < deadline, "no engine was started"
            time.sleep(0.1)
        server.send_signal(number)
        _, errors = server.communicate(timeout=60)
    assert (server.returncode, errors) == (0, "")
    assert still_running(family, within_s=1) == []


def test_a_killed_engine_comes_back(api: Api) -> None:
    """Requests in flight get a proper error, so do those meanwhile; after the restart all is well. Keep it last."""
    endless = CHAT | {"temperature": 1, "max_tokens": 600, "extra_body": {"ignore_eos": True}}
    began = threading.Barrier(3)

    def streamed() -> BaseException | None:
        with api.client() as client:
            chunks = client.chat.completions.create(**endless, stream=True)
            next(chunks)
            began.wait()
            try:
                for _ in chunks:
                    pass
            except openai.APIError as error:
                return error

    def whole() -> BaseException | None:
        with api.client() as client, contextlib.suppress(threading.BrokenBarrierError):
            began.wait()
            try:
                client.chat.completions.create(**endless, n=16)
            except openai.APIStatusError as error:
                return error

    with ThreadPoolExecutor() as pool:
        flights = [pool.submit(streamed), pool.submit(whole)]
        began.wait()
        deadline = time.monotonic() + 30
        while generating(api) < 10:
            assert time.monotonic() < deadline, "the engine never began"
            time.sleep(0.01)
        (core,) = [pid for pid in descendants(os.getpid()) if "EngineCore" in command_line(pid)]
        os.kill(core, signal.SIGKILL)
        in_stream, unstreamed = (flight.result(timeout=60) for flight in flights)
    assert "engine" in str(in_stream)
    assert (unstreamed.status_code, unstreamed.code) == (503, "engine_unavailable")
    deadline = time.monotonic() + 30
    with httpx.Client(base_url=api.url) as raw:
        while (answer := raw.get("/ready")).status_code == 200:
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.1)
        assert_openai_error(answer, 503, "engine_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        deadline = time.monotonic() + 180
        assert raw.get("/health").status_code == 200
        while raw.get("/ready").status_code != 200:
            assert time.monotonic() < deadline, "the engine did not come back"
            time.sleep(0.5)
    with api.client() as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello! How can I help?"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
