"""The model `assistant` of our API, asked by the official client; behind it a scripted model and a scripted painter."""

import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from assistant.service import extension
from serving.api.app import build_api, guarded
from serving.server import HttpServer
from serving.settings import read_settings
from tests.unit.assistant.scripted_model import ScriptedModel, called, refusal, said
from tests.unit.serving.picture_api import engine
from tests.unit.serving.picture_worker import PictureWorker

HI = [{"role": "user", "content": "hi"}]
STEPS = {"X-Homegrown-Steps": "1"}
WAIT_S = 120


@dataclass
class Served:
    """A running API with the assistant."""

    url: str
    model: ScriptedModel
    worker: PictureWorker

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True, timeout=60
        )

    def ask(self, messages: list[dict] | None = None, **more: object) -> object:
        return self.client().chat.completions.create(model="assistant", messages=messages or HI, **more)

    def post(self, **more: object) -> httpx.Response:
        body = {"model": "assistant", "messages": HI} | more
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=60, headers=more.pop("headers", {}))


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Served]]:
    """Starts the API in front of a model that answers by a script."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    with ExitStack() as stack:

        def serve(script: Callable[[dict], object]) -> Served:
            model, worker = stack.enter_context(ScriptedModel(script)), stack.enter_context(PictureWorker())
            claimed = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            settings = read_settings(port=claimed.getsockname()[1])
            words, images = engine(model.base_url, "words"), engine(worker.base_url, "images")
            app = build_api(settings, words, images, [extension])
            server = stack.enter_context(HttpServer(guarded(app, settings), claimed))
            return Served(server.url, model, worker)

        yield serve


def draws(body: dict) -> list[dict]:
    """Says a word, has a boat drawn, and says what the tool said."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return said("It said ", last["content"], ".")
    return called("generate_image", '{"prompt": "a [red] boat"}', text="Look:")


def test_the_answer_has_the_picture_in_its_text(serve: Callable[..., Served]) -> None:
    served = serve(draws)
    answer = served.ask()
    text = answer.choices[0].message.content
    found = re.fullmatch(
        r"Look:\n\n!\[a \\\[red\\\] boat\]\((http://127\.0\.0\.1:\d+/v1/images/files/\S+)\)\n\nIt said done\.", text
    )
    assert found
    assert httpx.get(found[1]).headers["content-type"] == "image/png"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.model, answer.usage.total_tokens) == ("assistant", 37)


def test_streamed_it_is_the_same(serve: Callable[..., Served]) -> None:
    served = serve(draws)
    whole = served.ask().choices[0].message.content
    chunks = list(served.ask(stream=True, stream_options={"include_usage": True}))
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    *parts, last, usage = chunks
    assert parts[0].choices[0].delta.role == "assistant"
    assert all(part.choices[0].delta.role is None for part in parts[1:])
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    unsigned = re.compile(r"\?expires=\d+&signature=\w+|[0-9a-f]{64}")
    assert unsigned.sub("", text) == unsigned.sub("", whole)
    assert (last.choices[0].finish_reason, last.choices[0].delta.content) == ("stop", None)
    assert (usage.choices, usage.usage.prompt_tokens, usage.usage.completion_tokens) == ([], 30, 7)
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_who_wants_steps_gets_them_and_no_pictures_in_the_text(serve: Callable[..., Served]) -> None:
    chunks = list(serve(draws).ask(stream=True, extra_headers=STEPS))
    told = [chunk.model_extra["homegrown"] for chunk in chunks if "homegrown" in chunk.model_extra]
    kinds = [each["type"] for each in told]
    assert (kinds[0], kinds[-1]) == ("tool_call", "tool_step")
    step = told[-1]["step"]
    assert (step["name"], step["said"], step["pictures"][0]["prompt"]) == ("generate_image", "done", "a [red] boat")
    assert httpx.get(step["pictures"][0]["url"]).status_code == 200
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Look:\n\nIt said done."


def test_the_model_does_not_read_urls_of_its_pictures(serve: Callable[..., Served]) -> None:
    served = serve(lambda body: said("Hm."))
    drawn = (
        r"![a \] boat](http://here/v1/images/files/0a.png?expires=1&signature=b)" + "\n\nHere it is. ![x](http://y/z)"
    )
    served.ask([*HI, {"role": "assistant", "content": drawn}, *HI])
    assert served.model.asked[0]["messages"][2]["content"] == "Here it is. ![x](http://y/z)"


def test_instructions_and_sampling_reach_the_model(serve: Callable[..., Served]) -> None:
    served = serve(lambda body: said("Hm."))
    served.ask([{"role": "developer", "content": "Be brief."}, *HI], temperature=0.5, max_tokens=7, stop=["x"], seed=3)
    body = served.model.asked[0]
    assert body["messages"][0]["content"].endswith("\n\nBe brief.")
    assert (body["temperature"], body["stop"], body["seed"]) == (0.5, ["x"], 3)
    assert body["max_completion_tokens"] == 7


TOOL = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"tools": [TOOL]}, "tools"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"structured_outputs": {"choice": ["a"]}}, "structured_outputs"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ],
)
def test_what_an_agent_cannot_do_is_said(serve: Callable[..., Served], wanted: dict, param: str) -> None:
    served = serve(draws)
    answer = served.post(**wanted)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert served.model.asked == []


def test_what_changes_nothing_is_allowed(serve: Callable[..., Served]) -> None:
    served = serve(lambda body: said("Hi."))
    answer = served.post(n=1, logprobs=False, response_format={"type": "text"}, user="me", tools=None)
    assert answer.json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi.", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }


def test_plain_completions_are_not_for_an_agent(serve: Callable[..., Served]) -> None:
    body = {"model": "assistant", "prompt": "Once"}
    answer = httpx.post(f"{serve(draws).url}/v1/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_an_error_before_the_first_word_is_a_status(serve: Callable[..., Served]) -> None:
    served = serve(lambda body: refusal(400, "maximum context length is 9 tokens", "context_length_exceeded"))
    with pytest.raises(openai.BadRequestError, match="shorten it"):
        served.ask(stream=True)


def test_an_error_after_it_is_an_event(serve: Callable[..., Served]) -> None:
    def fails_later(body: dict) -> object:
        return refusal(500, "Broken.") if body["messages"][-1]["role"] == "tool" else draws(body)

    frames = serve(fails_later).post(stream=True).text.split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    assert json.loads(frames[-3].removeprefix("data: "))["error"]["message"]
    assert not [frame for frame in frames if '"finish_reason":"' in frame]


def ask_and_go(served: Served, stream: bool, once: threading.Event) -> None:
    """Ask, and hang up when `once` has come."""
    body = json.dumps({"model": "assistant", "messages": HI, "stream": stream})
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc)
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    assert once.wait(WAIT_S)
    connection.close()


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_stops_the_model(serve: Callable[..., Served], stream: bool) -> None:
    served = serve(lambda body: None)
    ask_and_go(served, stream, served.model.writing)
    assert served.model.left.wait(WAIT_S)


def test_a_client_that_goes_stops_the_painter(serve: Callable[..., Served]) -> None:
    served = serve(lambda body: called("generate_image", '{"prompt": "wait"}'))
    ask_and_go(served, True, served.worker.drawing)
    assert served.worker.cancelled.wait(WAIT_S)


def test_whoever_asks_is_charged_once_for_all_of_it(serve: Callable[..., Served]) -> None:
    served = serve(draws)
    served.ask()
    with served.client().chat.completions.create(model="assistant", messages=HI, stream=True) as stream:
        list(stream)
    (row,) = httpx.get(f"{served.url}/api/usage").json()["usage"]
    assert (row["model"], row["requests"], row["pictures"]) == ("assistant", 2, 2)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (60, 14)
    counted = httpx.get(f"{served.url}/metrics").text
    found = re.findall(r"^homegrown_tool_calls_total{(?=.*generate_image)(?=.*false).*} (.*)$", counted, re.MULTILINE)
    assert found == ["2.0"]


def test_it_is_listed(serve: Callable[..., Served]) -> None:
    served = serve(draws)
    assert {"words", "assistant"} <= {card.id for card in served.client().models.list()}
    assert served.client().models.retrieve("assistant").owned_by == "homegrown"
