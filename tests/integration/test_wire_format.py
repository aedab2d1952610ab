"""OpenAI's wire format, rule by rule, in front of a real vLLM.

A test names the line of the project's list of rules: 1 to 6 errors, 7 to 11 streams, 12 to 16 choices, 17 and 18 tools,
19 to 22 requests. Lines that need another engine, and the other endpoints, are in test_wire_endpoints.py.
"""

import json

import httpx
import openai
import pytest

from prompts.library import persona
from tests.tiny_model import CONTEXT
from tests.wire import CHAT, ENDPOINT, HELLO, HI, JSON_TYPE, SUM, assert_openai_error, chunks_of, forced


def test_line_1_every_error_has_the_same_shape(raw: httpx.Client) -> None:
    assert_openai_error(raw.get("/v1/nothing"), 404, "unknown_url")
    refused = raw.get(ENDPOINT)
    assert_openai_error(refused, 405, "method_not_supported")
    assert refused.headers["allow"] == "POST"
    assert_openai_error(raw.post(ENDPOINT, json={"model": "taught"}), 400, "missing_required_parameter", "messages")
    assert_openai_error(raw.post(ENDPOINT, content=b"{}", headers={"content-type": "text/plain"}), 415, None)
    assert_openai_error(raw.post(ENDPOINT, content=b" " * 2**21, headers=JSON_TYPE), 413, "request_too_large")
    chunked = raw.post(ENDPOINT, content=(b" " * 2**16 for _ in range(32)), headers=JSON_TYPE)
    assert_openai_error(chunked, 413, "request_too_large")
    assert_openai_error(raw.get("/v1/models", headers={"cookie": "x" * 40_000}), 431, None)
    assert_openai_error(raw.get("/v1/models", headers={"host": "evil.example"}), 403, "host_not_allowed")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b'"x"', b"[" * 100_000, b'{"a":' * 100_000, b'{"model": "\\ud800"}']
)
def test_line_1_what_is_no_json_object(raw: httpx.Client, body: bytes) -> None:
    assert_openai_error(raw.post(ENDPOINT, content=body, headers=JSON_TYPE), 400, "invalid_json")


def test_line_1_what_vllm_refuses_has_the_same_shape(raw: httpx.Client) -> None:
    pattern = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "("}}}
    assert_openai_error(raw.post(ENDPOINT, json=CHAT | {"response_format": pattern}), 400, "invalid_value")
    biased = raw.post(ENDPOINT, json=CHAT | {"logit_bias": {"99999": 1}})
    assert_openai_error(biased, 400, "invalid_value", "logit_bias")
    assert raw.get("/health").status_code == 200


def test_line_3_an_unknown_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**(CHAT | {"model": "gpt-4"}))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_line_3_a_prompt_longer_than_the_context(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="taught", messages=[{"role": "user", "content": "x" * 2000}])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    # One token per byte, and 19 for the turn's marks.
    tokens = 2000 + len("\nuser\n" + "\nassistant\n") - 1 + 3
    assert caught.value.body["message"].startswith(
        f"This model's maximum context length is {CONTEXT} tokens. However, your messages resulted in {tokens} tokens."
    )


def test_line_3_more_tokens_asked_for_than_the_context_holds(raw: httpx.Client) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"max_tokens": CONTEXT + 1})
    message = assert_openai_error(answer, 400, "context_length_exceeded", "messages")
    assert f"maximum context length is {CONTEXT} tokens" in message
    assert f"{CONTEXT + 1} in the completion" in message
    answer = raw.post("/v1/completions", json={"model": "taught", "prompt": "x" * 2000, "max_tokens": 1})
    message = assert_openai_error(answer, 400, "context_length_exceeded", "prompt")
    assert "2000" in message


def test_line_4_the_request_id_reaches_the_client(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**CHAT, n=0)
    assert caught.value.request_id.startswith("req_")
    assert client.chat.completions.create(**CHAT)._request_id.startswith("req_")


def test_line_5_the_answer_to_a_bad_body_is_small(raw: httpx.Client) -> None:
    for body in (
        CHAT | {"messages": [{"role": "x" * 500, "content": {"a": "y" * 500}}] * 500},
        CHAT | {"tools": [{"type": "x" * 1000}] * 100},
        CHAT | {"z" * 5000: 1},
    ):
        answer = raw.post(ENDPOINT, json=body)
        assert answer.status_code == 400
        assert len(answer.content) < 2000
        assert "detail" not in answer.json()
        assert "/site-packages" not in answer.text


def test_line_7_frames_and_what_all_chunks_share(raw: httpx.Client) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"stream": True, "stream_options": {"include_usage": True}})
    chunks = chunks_of(answer)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"


def test_line_8_the_role_comes_first_and_the_finish_reason_last(raw: httpx.Client) -> None:
    choices = [chunk["choices"][0] for chunk in chunks_of(raw.post(ENDPOINT, json=CHAT | {"stream": True}))]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert all("role" not in choice["delta"] for choice in choices[1:])
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert choices[-1]["delta"] == {}


def test_line_9_usage_comes_in_a_chunk_of_its_own(raw: httpx.Client, client: openai.OpenAI) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"stream": True, "stream_options": {"include_usage": True}})
    *others, last = chunks_of(answer)
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in others)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == client.chat.completions.create(**CHAT).usage.completion_tokens
    with pytest.raises(openai.BadRequestError, match="stream_options"):
        client.chat.completions.create(**CHAT, stream_options={"include_usage": True})


def test_line_11_streamed_text_is_the_same(client: openai.OpenAI) -> None:
    def said(**wanted: object) -> tuple[str, str]:
        whole = client.chat.completions.create(**(CHAT | wanted)).choices[0].message.content
        chunks = client.chat.completions.create(**(CHAT | wanted), stream=True)
        return whole, "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    assert said() == (HELLO, HELLO)
    # Every byte is a token of its own here, and so is every character of a stop string.
    assert said(stop="can I") == ("Hello! How ", "Hello! How ")
    words = "né ☃ 🙂 né"
    assert said(extra_body={"structured_outputs": {"choice": [words]}}, tools=None) == (words, words)


def test_line_12_why_an_answer_ended(client: openai.OpenAI) -> None:
    def reason(**wanted: object) -> str:
        whole = client.chat.completions.create(**(CHAT | wanted)).choices[0].finish_reason
        *_, last = client.chat.completions.create(**(CHAT | wanted), stream=True)
        assert last.choices[0].finish_reason == whole
        return whole

    assert reason() == "stop"
    assert reason(max_tokens=3) == "length"
    assert reason(messages=SUM) == "tool_calls"
    assert reason(messages=SUM, max_tokens=30) == "length"
    assert reason(tools=forced("go"), tool_choice="required", max_tokens=200) == "tool_calls"
    named = {"type": "function", "function": {"name": "go"}}
    assert reason(tools=forced("go"), tool_choice=named, max_tokens=200) == "stop"


def test_line_13_log_probabilities(client: openai.OpenAI, raw: httpx.Client) -> None:
    assert raw.post(ENDPOINT, json=CHAT).json()["choices"][0]["logprobs"] is None
    alone = client.chat.completions.create(**CHAT, logprobs=True).choices[0]
    assert all(token.top_logprobs == [] for token in alone.logprobs.content)
    assert alone.logprobs.refusal is None
    assert "".join(token.token for token in alone.logprobs.content).startswith(HELLO)
    top = client.chat.completions.create(**CHAT, logprobs=True, top_logprobs=3).choices[0]
    assert all(len(token.top_logprobs) == 3 and token.bytes for token in top.logprobs.content)
    chunks = list(client.chat.completions.create(**CHAT, logprobs=True, stream=True))
    streamed = [token for chunk in chunks if chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in streamed] == [token.token for token in alone.logprobs.content]
    assert chunks[-1].choices[0].finish_reason == "stop"
    for wrong in ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 21}):
        with pytest.raises(openai.BadRequestError, match="top_logprobs"):
            client.chat.completions.create(**CHAT, **wrong)


def test_line_14_several_choices(client: openai.OpenAI) -> None:
    wanted = CHAT | {"temperature": 1, "n": 3, "max_tokens": 2}
    answer = client.chat.completions.create(**wanted)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens == 6
    chunks = [chunk.choices[0] for chunk in client.chat.completions.create(**wanted, stream=True)]
    assert {choice.index for choice in chunks} == {0, 1, 2}
    assert sorted(choice.index for choice in chunks if choice.finish_reason) == [0, 1, 2]
    for n in (0, 129):
        with pytest.raises(openai.BadRequestError, match="`n`"):
            client.chat.completions.create(**(CHAT | {"n": n}))


def test_line_15_content_and_refusal_are_there_and_null(raw: httpx.Client) -> None:
    message = raw.post(ENDPOINT, json=CHAT | {"messages": SUM}).json()["choices"][0]["message"]
    assert message["content"] is None
    assert message["refusal"] is None
    assert message["tool_calls"]


def test_line_16_limits_of_sampling(client: openai.OpenAI, raw: httpx.Client) -> None:
    both = client.chat.completions.create(**CHAT, max_tokens=50, max_completion_tokens=2)
    assert (both.usage.completion_tokens, both.choices[0].finish_reason) == (2, "length")
    bounds = {
        "max_tokens": (0, -1), "max_completion_tokens": (0, -1), "temperature": (-0.1, 2.1), "top_p": (-0.1, 1.1),
        "presence_penalty": (-2.1, 2.1), "frequency_penalty": (-2.1, 2.1), "seed": (2**63, -(2**63) - 1),
        "stop": (list("abcde"), 7), "logit_bias": ({"a": 1}, {"1": 101}),
    }  # fmt: skip
    for name, values in bounds.items():
        for value in values:
            assert_openai_error(raw.post(ENDPOINT, json=CHAT | {name: value}), 400, "invalid_value", name)
    edges = {"top_p": 1, "presence_penalty": -2, "frequency_penalty": 2, "seed": 2**63 - 1, "stop": list("wxyz")}
    assert client.chat.completions.create(**CHAT, **edges, max_tokens=1).choices[0].message.content == "H"


def test_line_17_a_tool_call_whole_and_in_pieces(client: openai.OpenAI) -> None:
    asked = CHAT | {"messages": SUM}
    choice = client.chat.completions.create(**asked).choices[0]
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "calculate")
    assert len(call.id) >= 9
    assert json.loads(call.function.arguments) == {"expression": "12 * 7"}
    chunks = list(client.chat.completions.create(**asked, stream=True))
    first, *pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert (first.index, first.type, first.function.name) == (0, "function", "calculate")
    assert len(first.id) >= 9
    assert {(piece.index, piece.id, piece.type, piece.function.name) for piece in pieces} == {(0, None, None, None)}
    arguments = "".join(piece.function.arguments or "" for piece in (first, *pieces))
    assert json.loads(arguments) == {"expression": "12 * 7"}


def test_line_18_which_tools_may_be_called(client: openai.OpenAI, raw: httpx.Client) -> None:
    assert_openai_error(raw.post(ENDPOINT, json=CHAT | {"tools": []}), 400, "invalid_value", "tools")
    absent = {"type": "function", "function": {"name": "fly"}}
    assert_openai_error(raw.post(ENDPOINT, json=CHAT | {"tool_choice": absent}), 400, "invalid_value", "tool_choice")
    none = client.chat.completions.create(**(CHAT | {"messages": SUM}), tool_choice="none").choices[0]
    assert none.message.tool_calls is None
    wanted = {"tools": forced("go"), "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 200}
    assert len(client.chat.completions.create(**(CHAT | wanted)).choices[0].message.tool_calls) == 1


def test_line_18_the_history_that_langchain_sends(client: openai.OpenAI) -> None:
    function = {"name": "calculate", "arguments": '{"expression": "12 * 7"}'}
    calls = [{"type": "function", "id": "call_12345", "function": function}]
    history = [
        *SUM,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_12345", "content": "84"},
    ]
    answer = client.chat.completions.create(**(CHAT | {"messages": history}))
    assert answer.choices[0].message.content == "12 * 7 is 84."


def test_line_19_roles_and_parts(client: openai.OpenAI, raw: httpx.Client) -> None:
    parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    newer = [{"role": "developer", "content": persona()}, {"role": "user", "content": "hi"}]
    assert client.chat.completions.create(**(CHAT | {"messages": newer})).choices[0].message.content == HELLO
    spoken = raw.post(ENDPOINT, json=CHAT | {"messages": [HI[0], {"role": "user", "content": parts}]})
    assert spoken.status_code == 200
    for kind in ("image_url", "input_audio", "file"):
        seen = [HI[0], {"role": "user", "content": [{"type": kind, kind: {}}]}]
        answer = raw.post(ENDPOINT, json=CHAT | {"messages": seen})
        assert kind in assert_openai_error(answer, 400, "invalid_value", "messages[1].content")


def test_line_20_answers_of_a_given_shape(client: openai.OpenAI, raw: httpx.Client) -> None:
    sky = {"type": "object", "properties": {"sky": {"enum": ["blue"]}}, "required": ["sky"]}
    schema = {"name": "sky", "schema": sky | {"additionalProperties": False}, "strict": True}
    wanted = {"type": "json_schema", "json_schema": schema}
    answer = client.chat.completions.create(**CHAT, response_format=wanted, max_tokens=400).choices[0]
    assert answer.finish_reason == "stop"
    assert json.loads(answer.message.content) == {"sky": "blue"}
    for wrong in ({"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "x"}}, {"type": "xml"}, {}):
        refused = raw.post(ENDPOINT, json=CHAT | {"response_format": wrong})
        assert_openai_error(refused, 400, "invalid_value", "response_format")
    free = client.chat.completions.create(**CHAT, response_format={"type": "json_object"}, max_tokens=8).choices[0]
    assert free.message.content.lstrip().startswith("{")


def test_line_21_parameters_that_nobody_would_honour(raw: httpx.Client) -> None:
    answer = raw.post(ENDPOINT, json=CHAT | {"guided_json": {}})
    assert "Unrecognized request argument" in assert_openai_error(answer, 400, "unknown_parameter", "guided_json")
    for name, value in {"functions": [{"name": "f"}], "audio": {}, "web_search_options": {}}.items():
        assert_openai_error(raw.post(ENDPOINT, json=CHAT | {name: value}), 400, "unsupported_parameter", name)
    assert raw.post(ENDPOINT, json=CHAT | {"top_k": 5, "max_tokens": 1}).status_code == 200


def test_line_22_parameters_without_effect(client: openai.OpenAI) -> None:
    ignored = {
        "user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto", "safety_identifier": "s",
        "prompt_cache_key": "k",
    }  # fmt: skip
    assert client.chat.completions.create(**CHAT, **ignored).choices[0].message.content == HELLO
