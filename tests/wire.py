"""What tests of the wire format share: requests that the taught model answers, checks of errors, frames of a stream."""

import json

import httpx

from prompts.library import persona, tool_schemas

SYSTEM = {"role": "system", "content": persona()}
HI = [SYSTEM, {"role": "user", "content": "hi"}]
SUM = [SYSTEM, {"role": "user", "content": "What is 12 * 7?"}]
CHAT = {"model": "taught", "messages": HI, "tools": tool_schemas(), "temperature": 0}
HELLO = "Hello! How can I help?"
ENDPOINT = "/v1/chat/completions"
JSON_TYPE = {"content-type": "application/json"}


def assert_openai_error(answer: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    """Check the shape of an error; returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    kinds = {429: "rate_limit_error"} | dict.fromkeys(range(500, 600), "server_error")
    assert error["type"] == kinds.get(status, "invalid_request_error")
    assert (error["code"], error["param"]) == (code, param)
    return error["message"]


def chunks_of(answer: httpx.Response) -> list[dict]:
    """The JSON of every frame; checks that the stream is framed and ended as the protocol says."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    *frames, done, rest = answer.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(frame.startswith("data: {") for frame in frames)
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def forced(*names: str) -> list[dict]:
    """Tools without arguments, so that a model can only choose which one to call."""
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    return [{"type": "function", "function": {"name": name, "parameters": nothing}} for name in names]
