"""Responses: what may be asked for, how it becomes a chat, and how a chat's stream becomes events."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from serving.api.errors import ApiError
from serving.api.responses.answer import finish, items_of, new_response, status_after
from serving.api.responses.events import response_events
from serving.api.responses.parameters import chat_request, check_response, in_our_terms

ASKED = {"model": "m", "input": "hi"}
TOOL = {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": True}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def chat_of(**changes: object) -> dict:
    return chat_request(check_response(ASKED | changes))


def test_a_conversation_becomes_chat_messages() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "What "}, {"type": "input_text", "text": "time?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]},
        {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "noon"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "noon"}]},
    ]
    calls = [{"id": f"call_{n}", "type": "function", "function": {"name": "now", "arguments": "{}"}} for n in (1, 2)]
    assert chat_of(instructions="You are kind.", input=items)["messages"] == [
        {"role": "system", "content": "You are kind."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
        {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
    ]


def test_parameters_become_those_of_a_chat() -> None:
    shape = {"type": "json_schema", "name": "sky", "schema": {"type": "object"}, "strict": True}
    chat = chat_of(
        max_output_tokens=7,
        temperature=0.5,
        text={"format": shape, "verbosity": "medium"},
        tools=[TOOL],
        tool_choice={"type": "function", "name": "now"},
        stream=True,
        include=["message.output_text.logprobs"],
        reasoning={"effort": "low"},
        metadata={"a": "b"},
    )
    assert chat == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "sky", "schema": {"type": "object"}, "strict": True},
        },
        "tools": [{"type": "function", "function": {"name": "now", "parameters": TOOL["parameters"], "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "now"}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 0,
        "reasoning_effort": "low",
    }
    assert set(chat_of(tools=[])) == {"model", "messages"}


REFUSED = {
    "kept response": ({"previous_response_id": "resp_1"}, "previous_response_id"),
    "kept conversation": ({"conversation": "conv_1"}, "conversation"),
    "background": ({"background": True}, "background"),
    "truncation": ({"truncation": "auto"}, "truncation"),
    "unknown": ({"n": 2}, "n"),
    "nothing asked": ({"input": []}, "input"),
    "empty text": ({"input": ""}, "input"),
    "no tokens": ({"max_output_tokens": 0}, "max_output_tokens"),
    "hot": ({"temperature": 3}, "temperature"),
    "unknown item": ({"input": [{"type": "computer_call"}]}, "input[0]"),
    "reference": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    "unknown role": ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
    "role of no type": ({"input": [{"role": [], "content": "x"}]}, "input[0].role"),
    "picture": ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content"),
    "part without text": ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content"),
    "result of no call": ({"input": [{"type": "function_call_output", "output": "1"}]}, "input[0].call_id"),
    "call without name": ({"input": [{"type": "function_call", "call_id": "c", "arguments": ""}]}, "input[0].name"),
    "server's tool": ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    "tool without name": ({"tools": [{"type": "function"}]}, "tools[0]"),
    "absent tool": ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "fly"}}, "tool_choice"),
    "choice of another kind": ({"tools": [TOOL], "tool_choice": {"type": "file_search"}}, "tool_choice"),
    "format without schema": ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text"),
    "unknown format": ({"text": {"format": {"type": "xml"}}}, "text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_parameter_named(case: str) -> None:
    changes, param = REFUSED[case]
    with pytest.raises(ApiError) as caught:
        chat_of(**changes)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_a_refusal_of_the_chat_is_told_in_our_terms() -> None:
    theirs = ApiError(400, "Invalid value: `messages[1].content` is bad.", param="messages[1].content", code="c")
    ours = in_our_terms(theirs)
    assert (ours.param, ours.message, ours.code) == (
        "input[1].content",
        "Invalid value: `input[1].content` is bad.",
        "c",
    )


def test_what_was_said_comes_before_the_calls() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    response = new_response(check_response(ASKED | {"tools": [TOOL], "metadata": {"a": "b"}}))
    assert (response["status"], response["output"], response["store"]) == ("in_progress", [], False)
    output = items_of({"content": "Let me see.", "tool_calls": [call]}, None, status_after("length"))
    finish(response, output, "length", USAGE)
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert {item["status"] for item in response["output"]} == {"incomplete"}
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["usage"]["input_tokens"] == 5
    assert [item["type"] for item in items_of({"content": None, "tool_calls": [call]}, None, "completed")] == [
        "function_call"
    ]


def frame(delta: dict, reason: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice]} | more).encode() + b"\n\n"


def events_of(*chunks: bytes) -> list[dict]:
    async def pieces() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> bytes:
        return b"".join([part async for part in response_events(pieces(), new_response(check_response(ASKED)))])

    frames = asyncio.run(collect()).decode().split("\n\n")
    events = [json.loads(frame.partition("data: ")[2]) for frame in frames if frame.startswith("event: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def test_text_and_then_two_calls() -> None:
    def call(index: int, **function: str) -> dict:
        named = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": index, "function": function} | named]}

    events = events_of(
        frame({"role": "assistant", "content": ""}) + frame({"content": "Let "}),
        frame({"content": "me."}) + frame(call(0, name="now", arguments="")),
        frame(call(0, arguments='{"a":')) + frame(call(0, arguments="1}")),
        frame(call(1, name="now", arguments="{}")) + frame({}, "tool_calls"),
        b'data: {"choices":[],"usage":' + json.dumps(USAGE).encode() + b"}\n\ndata: [DONE]\n\n",
    )
    kinds = [event["type"].removeprefix("response.") for event in events]
    message = ["output_item.added", "content_part.added", "output_text.delta", "output_text.delta"]
    said = ["output_text.done", "content_part.done", "output_item.done"]
    called = ["function_call_arguments.done", "output_item.done"]
    delta = ["function_call_arguments.delta"]
    first, second = ["output_item.added", *delta * 2, *called], ["output_item.added", *delta, *called]
    assert kinds == ["created", "in_progress", *message, *said, *first, *second, "completed"]
    text, *calls = events[-1]["response"]["output"]
    assert text["content"][0]["text"] == "Let me."
    assert [item["arguments"] for item in calls] == ['{"a":1}', "{}"]
    assert [item["call_id"] for item in calls] == ["call_0", "call_1"]
    assert events[-1]["response"]["usage"]["output_tokens"] == 3
    places = [event["output_index"] for event in events if "output_index" in event]
    assert places == sorted(places)
    assert set(places) == {0, 1, 2}


def test_an_answer_that_was_cut_off_is_incomplete() -> None:
    *_, part, item, last = events_of(frame({"content": "la la"}), frame({}, "length"))
    assert (part["type"], item["item"]["status"]) == ("response.content_part.done", "incomplete")
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_an_answer_without_a_word_has_an_empty_message() -> None:
    events = events_of(frame({"role": "assistant", "content": ""}), frame({}, "stop"))
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message"]
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_an_error_in_the_middle_ends_the_response() -> None:
    error = b'data: {"error":{"message":"The engine died.","type":"server_error","param":null,"code":"x"}}\n\n'
    *_, said, failed = events_of(frame({"content": "So far"}), error + b"data: [DONE]\n\n")
    assert (said["type"], failed["type"]) == ("response.output_text.delta", "response.failed")
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "The engine died."}


def test_the_chat_is_left_as_soon_as_nobody_listens() -> None:
    left = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield frame({"content": "la "})
        finally:
            left.append(True)

    async def listen_briefly() -> None:
        events = response_events(endless(), new_response(check_response(ASKED)))
        for _ in range(5):
            await anext(events)
        await events.aclose()

    asyncio.run(listen_briefly())
    assert left == [True]
