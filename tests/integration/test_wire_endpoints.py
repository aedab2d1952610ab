"""The lines of OpenAI's wire format that are about other endpoints than chat, keys, and engines that fail.

A test names the line of the project's list of rules, as in test_wire_format.py.
"""

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from aiohttp import web
from fastapi import FastAPI, Request
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from serving.api.app import build_api, guarded
from serving.api.errors import ApiError
from serving.engine import free_port
from serving.serve import serving
from serving.server import HttpServer
from serving.settings import read_settings
from tests.conftest import Api
from tests.tiny_embedder import write_embedder
from tests.unit.eval.threaded_server import ThreadedServer
from tests.unit.serving.picture_api import engine, opened
from tests.unit.serving.picture_worker import PictureWorker
from tests.wire import CHAT, ENDPOINT, HELLO, HI, SUM, assert_openai_error

INSTRUCTIONS, QUESTION = HI[0]["content"], HI[1]["content"]
TOOLS = [{"type": "function", **tool["function"]} for tool in CHAT["tools"]]
RESPONSE = {"model": "taught", "instructions": INSTRUCTIONS, "tools": TOOLS, "temperature": 0}
KEY = "sk-a-key-of-the-tests"


@contextlib.contextmanager
def in_front_of(engine_url: str, *extensions: object, **settings: object) -> Iterator[str]:
    """Another API of ours before an engine that runs already."""
    wanted = read_settings(port=free_port(), engine_url=engine_url, images=False, **settings)
    with serving(wanted, None, extensions) as (url, _):
        yield url


class FailingEngine(ThreadedServer):
    """An engine that is slow, and dies in the middle of the line."""

    def routes(self):
        return [("GET", "/v1/models", self.models), ("POST", "/v1/chat/completions", self.chat)]

    async def models(self, request):
        return web.json_response({"data": [{"id": "failing"}]})

    async def chat(self, request):
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "failing"}
        delta = {"index": 0, "delta": {"content": "So far"}, "finish_reason": None}
        await answer.write(b": keep-alive\n\n")
        await answer.write(b"data: " + json.dumps(chunk | {"choices": [delta]}).encode() + b"\n\n")
        if (await request.json()).get("user") == "told":
            error = {"message": "EngineCore encountered an issue.", "type": "X", "param": None, "code": 500}
            await answer.write(b"data: " + json.dumps({"error": error}).encode() + b"\n\ndata: [DONE]\n\n")
        else:
            await answer.write(b'data: {"id":"1","cho')
            await asyncio.sleep(1)  # what has not been read by then is lost
            request.transport.abort()
        return answer


@pytest.mark.parametrize("user", ["told", "cut off"])
def test_lines_6_and_10_an_engine_that_fails_in_the_middle(user: str) -> None:
    with FailingEngine() as engine, in_front_of(engine.base_url) as url:
        asked = {"model": "failing", "messages": [HI[1]], "stream": True, "user": user}
        answer = httpx.post(url + ENDPOINT, json=asked, timeout=60)
        *frames, done, rest = answer.text.split("\n\n")
        assert (frames[0], done, rest) == (": keep-alive", "data: [DONE]", "")
        assert [set(json.loads(frame.removeprefix("data: "))) >= {"error"} for frame in frames[1:]] == [False, True]
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            chunks = client.chat.completions.create(**asked)
            assert next(chunks).choices[0].delta.content == "So far"
            with pytest.raises(openai.APIError, match="engine"):
                next(chunks)
            *_, failed = client.responses.create(model="failing", input="hi", stream=True, user=user)
        assert (failed.type, failed.response.status) == ("response.failed", "failed")
        assert "engine" in failed.response.error.message


def test_line_2_a_wrong_key(api: Api) -> None:
    with in_front_of(api.engine.base_url, api_key=KEY) as url:
        answer = httpx.get(f"{url}/v1/models", headers={"authorization": "Bearer wrong-key"})
        assert_openai_error(answer, 401, "invalid_api_key")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        with openai.OpenAI(base_url=f"{url}/v1", api_key="wrong-key", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.chat.completions.create(**CHAT)
            assert caught.value.code == "invalid_api_key"
            answer = client.with_options(api_key=KEY).chat.completions.create(**CHAT)
        assert answer.choices[0].message.content == HELLO


def test_lines_1_and_4_too_many_requests_and_our_own_mistakes(api: Api) -> None:
    def room(app: FastAPI) -> contextlib.AbstractAsyncContextManager[None]:
        asked = []

        async def busy(request: Request) -> None:
            asked.append(request)
            raise ApiError(429, f"Asked {len(asked)} times.", code="rate_limit_exceeded", headers={"Retry-After": "7"})

        async def broken(request: Request) -> None:
            raise RuntimeError("a secret")

        app.state.models.add_model("busy", busy)
        app.state.models.add_model("broken", broken)
        return nothing()

    @contextlib.asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    with in_front_of(api.engine.base_url, room) as url, Api(url, api.engine).client() as client:
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as caught:
                client.chat.completions.create(**(CHAT | {"model": "busy"}))
        assert caught.value.response.headers["retry-after"] == "7"
        assert caught.value.body["message"] == "Asked 2 times."
        answer = httpx.post(url + ENDPOINT, json=CHAT | {"model": "broken"})
        assert "secret" not in assert_openai_error(answer, 500, "internal_error")


def test_line_23_models_one_by_one(client: openai.OpenAI) -> None:
    found = client.models.retrieve("taught")
    assert found in list(client.models.list())
    assert (found.id, found.object, found.owned_by) == ("taught", "model", "homegrown")
    assert isinstance(found.created, int)
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("owner/other")
    assert caught.value.code == "model_not_found"


def test_line_24_embeddings_are_base64_of_little_endian_floats(api: Api, tmp_path: Path) -> None:
    folder = write_embedder(tmp_path / "words")
    with in_front_of(api.engine.base_url, embedding_model=str(folder)) as url:
        asked = {"model": "words", "input": ["cat", "dog"], "encoding_format": "base64"}
        data = httpx.post(f"{url}/v1/embeddings", json=asked).json()["data"]
        unpacked = [np.frombuffer(base64.b64decode(datum["embedding"]), "<f4") for datum in data]
        assert unpacked[0].tolist() == [1, 0, 0]
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            assert client.embeddings.create(model="words", input="dog").data[0].embedding == unpacked[1].tolist()


def test_line_25_pictures_at_signed_urls_and_as_base64(session_home: Path) -> None:
    settings = read_settings()
    with PictureWorker() as worker, socket.create_server(("127.0.0.1", 0)) as claimed:
        app = build_api(settings, engine(worker.base_url, "words"), engine(worker.base_url, "images"))
        with HttpServer(guarded(app, settings), claimed) as server:
            asked = {"prompt": "a cat", "n": 2, "size": "64x48"}
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
                pictures = client.images.generate(**asked).data
                packed = client.images.generate(**asked, response_format="b64_json").data
            seen = [httpx.get(picture.url) for picture in pictures]
            assert [answer.headers["content-type"] for answer in seen] == ["image/png"] * 2
            assert [opened(base64.b64decode(picture.b64_json)).size for picture in packed] == [(64, 48)] * 2
            for size in ("512", "axb", "0x0", "99999x99999"):
                answer = httpx.post(f"{server.url}/v1/images/generations", json=asked | {"size": size})
                assert_openai_error(answer, 400, "invalid_value", "size")


def test_line_26_a_response(client: openai.OpenAI) -> None:
    answer = client.responses.create(**RESPONSE, input=QUESTION)
    assert answer.id.startswith("resp_")
    assert answer.output[0].id.startswith("msg_")
    assert (answer.output_text, answer.status, answer.output[0].status) == (HELLO, "completed", "completed")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    cut = client.responses.create(**RESPONSE, input=QUESTION, max_output_tokens=3)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_line_26_the_events_of_a_response(client: openai.OpenAI) -> None:
    events = list(client.responses.create(**RESPONSE, input=[{"role": "user", "content": QUESTION}], stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    before = ["created", "in_progress", "output_item.added", "content_part.added"]
    after = ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert kinds == before + ["output_text.delta"] * (len(kinds) - 8) + after
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events[4:-4]) == HELLO
    assert events[-1].response.output_text == HELLO
    assert events[-1].response.usage.output_tokens > 0
    assert len({events[0].response.id, events[-1].response.id}) == 1
    with client.responses.stream(**RESPONSE, input=QUESTION) as stream:
        assert stream.get_final_response().output_text == HELLO


def test_line_26_a_response_that_calls_a_function(client: openai.OpenAI) -> None:
    question = {"role": "user", "content": SUM[1]["content"]}
    answer = client.responses.create(**RESPONSE, input=[question])
    (call,) = answer.output
    assert (call.type, call.name, json.loads(call.arguments)) == (
        "function_call",
        "calculate",
        {"expression": "12 * 7"},
    )
    events = list(client.responses.create(**RESPONSE, input=[question], stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    after = ["function_call_arguments.done", "output_item.done", "completed"]
    assert kinds[:3] == ["created", "in_progress", "output_item.added"]
    assert set(kinds[3:-3]) == {"function_call_arguments.delta"}
    assert kinds[-3:] == after
    assert "".join(event.delta for event in events[3:-3]) == events[-3].arguments == call.arguments
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "84"}
    after = client.responses.create(**RESPONSE, input=[question, call.model_dump(), result])
    assert after.output_text == "12 * 7 is 84."


def test_line_26_a_response_of_a_given_shape_and_with_log_probabilities(client: openai.OpenAI) -> None:
    sky = {"type": "object", "properties": {"sky": {"enum": ["blue"]}}, "required": ["sky"]}
    shape = {"format": {"type": "json_schema", "name": "sky", "schema": sky | {"additionalProperties": False}}}
    answer = client.responses.create(**RESPONSE, input=QUESTION, text=shape, max_output_tokens=400)
    assert json.loads(answer.output_text) == {"sky": "blue"}
    wanted = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    likely = client.responses.create(**RESPONSE, input=QUESTION, **wanted).output[0].content[0].logprobs
    assert "".join(token.token for token in likely).startswith(HELLO)
    assert all(len(token.top_logprobs) == 2 for token in likely)


def test_line_26_what_a_response_cannot_be(client: openai.OpenAI) -> None:
    wrong = {
        "previous_response_id": ({"previous_response_id": "resp_1"}, "unsupported_parameter"),
        "input": ({"input": "x" * 2000}, "context_length_exceeded"),
        "tools[0]": ({"tools": [{"type": "web_search"}]}, "invalid_value"),
    }
    for param, (changes, code) in wrong.items():
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(**(RESPONSE | {"input": QUESTION} | changes))
        assert (caught.value.param, caught.value.code) == (param, code)
    for gone in (client.responses.retrieve, client.responses.delete):
        with pytest.raises(openai.NotFoundError, match="no responses are kept"):
            gone("resp_1")


def test_langchain_works_unchanged(api: Api) -> None:
    @tool
    def calculate(expression: str) -> str:
        """Work out an expression."""
        return "84"

    for responses in (False, True):
        model = ChatOpenAI(
            base_url=f"{api.url}/v1", api_key="none", model="taught", temperature=0, use_responses_api=responses
        )
        talk = [("system", INSTRUCTIONS), HumanMessage(SUM[1]["content"])]
        bound = model.bind_tools(CHAT["tools"])
        asked = bound.invoke(talk)
        assert [(call["name"], call["args"]) for call in asked.tool_calls] == [("calculate", {"expression": "12 * 7"})]
        talk += [asked, calculate.invoke(asked.tool_calls[0])]
        answer = bound.invoke(talk)
        assert answer.text == "12 * 7 is 84."
        assert answer.usage_metadata["total_tokens"] > 0
        streamed = list(bound.stream([("system", INSTRUCTIONS), ("user", QUESTION)]))
        assert "".join(chunk.text for chunk in streamed) == HELLO
