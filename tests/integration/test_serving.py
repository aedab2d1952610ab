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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from prompts.library import persona, tool_schemas
from serving.engine import EngineError, RemoteEngine, free_port
from serving.serve import serving
from serving.settings import read_settings
from serving.text_engine import TextEngine
from tests.conftest import Api
from tests.processes import descendants, still_running
from tests.tiny_model import CONTEXT

ROOT = Path(__file__).parents[2]
SYSTEM = {"role": "system", "content": persona()}
HI = [SYSTEM, {"role": "user", "content": "hi"}]
SUM = [SYSTEM, {"role": "user", "content": "What is 12 * 7?"}]
CHAT = {"model": "taught", "messages": HI, "tools": tool_schemas(), "temperature": 0}
ENDPOINT = "/v1/chat/completions"


@pytest.fixture
def client(api: Api) -> Iterator[openai.OpenAI]:
    with api.client() as client:
        yield client


@pytest.fixture
def raw(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.url, timeout=60) as raw:
        yield raw


def assert_openai_error(answer: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    """Check the shape of an error; returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    assert (error["code"], error["param"]) == (code, param)
    return error["message"]


def test_a_conversation(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**CHAT)
    assert answer.choices[0].message.content == "Hello! How can I help?"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs is None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_tool_call_and_its_result(client: openai.OpenAI) -> None:
    choice = client.chat.completions.create(**(CHAT | {"messages": SUM})).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert len(call.id) >= 9
    assert json.loads(call.function.arguments) == {"expression": "12 * 7"}
    history = [*SUM, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "84"}]
    answer = client.chat.completions.create(**(CHAT | {"messages": history}))
    assert answer.choices[0].message.content == "12 * 7 is 84."


def test_streamed_text_is_the_same_and_well_formed(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(**CHAT)
    usage_wanted = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.chat.completions.create(**CHAT, **usage_wanted))
    *said, usage = chunks
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert said[0].choices[0].delta.role == "assistant"
    assert said[0].choices[0].delta.content == ""
    assert [chunk.choices[0].delta.role for chunk in said[1:]] == [None] * (len(said) - 1)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in said) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in said] == [None] * (len(said) - 1) + ["stop"]
    assert said[-1].choices[0].delta.content is None
    assert usage.choices == []
    assert usage.usage == whole.usage


def test_a_streamed_tool_call_comes_in_pieces(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**(CHAT | {"messages": SUM, "stream": True})))
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert {piece.index for piece in pieces} == {0}
    assert [piece.function.name for piece in pieces if piece.function.name] == ["calculate"]
    assert len([piece for piece in pieces if piece.id]) == 1
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)) == {"expression": "12 * 7"}
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["tool_calls"]


def test_stream_bytes_end_as_the_protocol_says(raw: httpx.Client) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"stream": True, "stream_options": {"include_usage": True}})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *frames, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-2]["choices"][0]["delta"] == {}


def test_log_probabilities(client: openai.OpenAI) -> None:
    alone = client.chat.completions.create(**CHAT, logprobs=True).choices[0]
    assert all(token.top_logprobs == [] for token in alone.logprobs.content)
    top = client.chat.completions.create(**CHAT, logprobs=True, top_logprobs=3).choices[0]
    assert all(len(token.top_logprobs) == 3 for token in top.logprobs.content)
    chunks = list(client.chat.completions.create(**CHAT, logprobs=True, stream=True))
    streamed = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in streamed] == [token.token for token in alone.logprobs.content]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_several_choices_and_the_newer_token_limit(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**(CHAT | {"temperature": 1}), n=3, max_tokens=50, max_completion_tokens=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage.completion_tokens == 6


def test_many_long_prompts_with_seeds_are_answered_alike_twice(client: openai.OpenAI) -> None:
    def sample(seed: int) -> str:
        asked = [{"role": "user", "content": f"{seed} {'la ' * 200}"}]
        answer = client.chat.completions.create(model="taught", messages=asked, temperature=1, seed=seed, max_tokens=4)
        return answer.choices[0].message.content

    with ThreadPoolExecutor(32) as pool:
        first, second = (list(pool.map(sample, range(32))) for _ in range(2))
    assert first == second
    assert len(set(first)) > 1


def test_an_answer_that_must_be_json_is(client: openai.OpenAI) -> None:
    inner = {"type": "object", "properties": {"sky": {"enum": ["blue", "grey"]}}, "required": ["sky"]}
    schema = {"name": "sky", "schema": inner | {"additionalProperties": False}}
    wanted = {"type": "json_schema", "json_schema": schema}
    answer = client.chat.completions.create(**CHAT, response_format=wanted, max_tokens=200)
    if answer.choices[0].finish_reason == "stop":
        assert json.loads(answer.choices[0].message.content)["sky"] in ("blue", "grey")
    else:
        assert answer.choices[0].message.content.lstrip().startswith("{")


def test_newer_clients_say_developer(client: openai.OpenAI) -> None:
    asked = CHAT | {"messages": [{"role": "developer", "content": persona()}, HI[1]]}
    assert client.chat.completions.create(**asked).choices[0].message.content == "Hello! How can I help?"


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


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["taught"]
    assert client.models.retrieve("taught").owned_by == "homegrown"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("owner/other")
    assert caught.value.code == "model_not_found"


def test_health(raw: httpx.Client) -> None:
    assert raw.get("/health").json() == {"status": "ok"}
    assert raw.head("/health").status_code == 200


def test_an_unknown_model_is_an_error_of_the_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**(CHAT | {"model": "gpt-4"}))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id.startswith("req_")


def test_a_prompt_longer_than_the_context(raw: httpx.Client) -> None:
    asked = CHAT | {"messages": [{"role": "user", "content": "x" * 2000}], "tools": None}
    message = assert_openai_error(raw.post(ENDPOINT, json=asked), 400, "context_length_exceeded", "messages")
    # One token per byte, and 19 for the turn's marks.
    tokens = 2000 + len("\nuser\n" + "\nassistant\n") - 1 + 3
    assert message.startswith(
        f"This model's maximum context length is {CONTEXT} tokens. However, your messages resulted in {tokens} tokens."
    )


def test_more_tokens_asked_for_than_the_context_holds(raw: httpx.Client) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"max_tokens": CONTEXT + 1})
    message = assert_openai_error(answer, 400, "context_length_exceeded", "messages")
    assert f"maximum context length is {CONTEXT} tokens" in message
    assert f"{CONTEXT + 1} in the completion" in message
    answer = raw.post("/v1/completions", json={"model": "taught", "prompt": "x" * 2000, "max_tokens": 1})
    message = assert_openai_error(answer, 400, "context_length_exceeded", "prompt")
    assert "2000" in message


def test_what_vllm_refuses_has_the_same_shape(raw: httpx.Client) -> None:
    pattern = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "("}}}
    assert_openai_error(raw.post(ENDPOINT, json=CHAT | {"response_format": pattern}), 400, "invalid_value")
    assert_openai_error(
        raw.post(ENDPOINT, json=CHAT | {"logit_bias": {"99999": 1}}), 400, "invalid_value", "logit_bias"
    )
    assert raw.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, b'{"model": "\\ud800"}']
)
def test_what_is_no_json_object(raw: httpx.Client, body: bytes) -> None:
    answer = raw.post(ENDPOINT, content=body, headers={"content-type": "application/json"})
    assert_openai_error(answer, 400, "invalid_json")


def test_wrong_paths_methods_types_and_sizes(raw: httpx.Client) -> None:
    assert_openai_error(raw.get("/v1/nothing"), 404, "unknown_url")
    refused = raw.get(ENDPOINT)
    assert_openai_error(refused, 405, "method_not_supported")
    assert refused.headers["allow"] == "POST"
    assert_openai_error(raw.post(ENDPOINT, content=b"{}", headers={"content-type": "text/plain"}), 415, None)
    json_type = {"content-type": "application/json"}
    assert_openai_error(raw.post(ENDPOINT, content=b" " * 2**21, headers=json_type), 413, "request_too_large")
    chunked = raw.post(ENDPOINT, content=(b" " * 2**16 for _ in range(32)), headers=json_type)
    assert_openai_error(chunked, 413, "request_too_large")
    assert_openai_error(raw.get("/v1/models", headers={"cookie": "x" * 40_000}), 431, None)
    assert_openai_error(raw.get("/v1/models", headers={"host": "evil.example"}), 403, "host_not_allowed")


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
    with pytest.raises(EngineError, match=r"No engine answers at http://127\.0\.0\.1:9/v1 .*--engine-url"):
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
        while (answer := raw.get("/health")).status_code == 200:
            assert time.monotonic() < deadline, "nobody noticed"
            time.sleep(0.1)
        assert_openai_error(answer, 503, "engine_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        deadline = time.monotonic() + 180
        while raw.get("/health").status_code != 200:
            assert time.monotonic() < deadline, "the engine did not come back"
            time.sleep(0.5)
    with api.client() as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "Hello! How can I help?"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
