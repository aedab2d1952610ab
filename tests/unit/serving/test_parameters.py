import copy

import pytest

from prompts.library import tool_schemas
from serving.api.errors import ApiError
from serving.api.parameters import MAX_NESTING, check_chat, check_completion

USER = {"role": "user", "content": "hi"}
CHAT = {"model": "m", "messages": [USER]}
TOOLS = tool_schemas(("now",))


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth):
        value = {"items": value}
    return value


def called(arguments: str) -> dict:
    return {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": arguments}}


def schema(inner: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": inner}}


ACCEPTED = {
    "bare": {},
    "all bounds at once": {"temperature": 2, "top_p": 1, "n": 128, "presence_penalty": -2, "seed": -(2**63)},
    "nulls": {"temperature": None, "tools": None, "stop": None, "stream_options": None, "function_call": None},
    "four stops": {"stop": ["a", "b", "c", "d"]},
    "logprobs alone": {"logprobs": True},
    "top logprobs": {"logprobs": True, "top_logprobs": 20},
    "usage": {"stream": True, "stream_options": {"include_usage": True}},
    "developer": {"messages": [{"role": "developer", "content": "Be kind."}, USER]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    "tool history": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [called("{}"), called("")]},
            {"role": "tool", "tool_call_id": "call_1", "content": "84"},
        ]
    },
    "named tool": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "now"}}},
    "schema": {"response_format": schema(nested(10))},
    "without effect": {"user": "u", "metadata": {}, "store": True, "service_tier": "auto", "prompt_cache_key": "k"},
    "vLLM's extras": {"top_k": 5, "min_p": 0.1, "ignore_eos": True, "chat_template_kwargs": {"thinking": False}},
}

REFUSED = {
    "no messages": ({"messages": []}, "messages"),
    "message is no object": ({"messages": ["hi"]}, "messages"),
    "unknown role": ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    "role of no type": ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role"),
    "part of no type": ({"messages": [USER | {"content": [{"type": {}}]}]}, "messages[0].content"),
    "calls of no type": ({"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls"),
    "arguments that are no JSON": (
        {"messages": [{"role": "assistant", "tool_calls": [called("{")]}]},
        "messages[0].tool_calls",
    ),
    "arguments without names": (
        {"messages": [{"role": "assistant", "tool_calls": [called("[1]")]}]},
        "messages[0].tool_calls",
    ),
    "call of nothing": ({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]}, "messages[0].tool_calls"),
    "user says nothing": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    "no parts": ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    "picture": ({"messages": [USER, {"role": "user", "content": [{"type": "image_url"}]}]}, "messages[1].content"),
    "part without text": ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
    "result of no call": ({"messages": [{"role": "tool", "content": "84"}]}, "messages[0].tool_call_id"),
    "hot": ({"temperature": 2.1}, "temperature"),
    "cold": ({"temperature": -0.1}, "temperature"),
    "not a number": ({"temperature": float("nan")}, "temperature"),
    "infinite": ({"presence_penalty": float("inf")}, "presence_penalty"),
    "number as text": ({"temperature": "1"}, "temperature"),
    "boolean as number": ({"n": True}, "n"),
    "n too small": ({"n": 0}, "n"),
    "n too large": ({"n": 129}, "n"),
    "no tokens": ({"max_tokens": 0}, "max_tokens"),
    "negative tokens": ({"max_completion_tokens": -1}, "max_completion_tokens"),
    "seed of 70 bits": ({"seed": 2**70}, "seed"),
    "five stops": ({"stop": list("abcde")}, "stop"),
    "21 top logprobs": ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    "top logprobs without logprobs": ({"top_logprobs": 2}, "top_logprobs"),
    "usage without stream": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "no tools": ({"tools": []}, "tools"),
    "tool without name": ({"tools": [{"type": "function", "function": {}}]}, "tools[0]"),
    "tool with many names": ({"tools": [{"type": "function", "function": {"name": ["f"]}}]}, "tools[0]"),
    "choice of many": ({"tools": TOOLS, "tool_choice": {"function": {"name": ["now"]}}}, "tool_choice"),
    "choice of no type": ({"tools": TOOLS, "tool_choice": {"function": {"name": "now"}}}, "tool_choice"),
    "tool with odd strictness": ({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}, "tools[0]"),
    "choice without tools": ({"tool_choice": "required"}, "tool_choice"),
    "absent tool": ({"tools": TOOLS, "tool_choice": {"function": {"name": "fly"}}}, "tool_choice"),
    "format without schema": ({"response_format": {"type": "json_schema"}}, "response_format"),
    "unknown format": ({"response_format": {"type": "xml"}}, "response_format"),
    "deep schema": ({"response_format": schema(nested(MAX_NESTING + 1))}, "response_format"),
    "template from outside": ({"chat_template": "{{ 1 }}"}, "chat_template"),
    "reserved template key": ({"chat_template_kwargs": {"tokenize": True}}, "chat_template_kwargs"),
    "salt of no grain": ({"cache_salt": ""}, "cache_salt"),
    "tokens below none": ({"allowed_token_ids": [-1]}, "allowed_token_ids"),
    "every probability": ({"prompt_logprobs": -1}, "prompt_logprobs"),
    "pickle": ({"prompt_embeds": "AAAA"}, "prompt_embeds"),
    "known, not honoured": ({"functions": [{"name": "f"}]}, "functions"),
    "sound": ({"modalities": ["audio"]}, "modalities"),
    "unknown": ({"guided_json": {}}, "guided_json"),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    check_chat(CHAT | ACCEPTED[case])


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_parameter_named(case: str) -> None:
    changes, param = REFUSED[case]
    body = CHAT | copy.deepcopy(changes)
    with pytest.raises(ApiError) as caught:
        check_chat(body)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert caught.value.body()["error"]["type"] == "invalid_request_error"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("name", ["model", "messages"])
def test_missing_parameters_are_named(name: str) -> None:
    with pytest.raises(ApiError, match=name) as caught:
        check_chat({key: value for key, value in CHAT.items() if key != name})
    assert caught.value.code == "missing_required_parameter"


@pytest.mark.parametrize("prompt", ["text", ["a", "b"], [1, 2], [[1], [2, 3]]])
def test_prompts_of_every_kind(prompt: object) -> None:
    check_completion({"model": "m", "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 1})


@pytest.mark.parametrize("prompt", [None, [], {}, [None], 7, ["a"] * 129])
def test_prompts_of_no_kind(prompt: object) -> None:
    with pytest.raises(ApiError) as caught:
        check_completion({"model": "m", "prompt": prompt})
    assert caught.value.param == "prompt"


def test_prompts_and_answers_to_each_are_limited_together() -> None:
    check_completion({"model": "m", "prompt": ["a"] * 64, "n": 2})
    check_completion({"model": "m", "prompt": [1] * 64, "n": 128})
    with pytest.raises(ApiError) as caught:
        check_completion({"model": "m", "prompt": ["a"] * 64, "n": 3})
    assert caught.value.param == "n"
