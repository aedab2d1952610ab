"""What POST /v1/responses may ask for, and the chat request that it comes down to."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.api.errors import ApiError
from serving.api.parameters import Function, check_chat, invalid, validated
from serving.api.responses.items import as_messages

UNSUPPORTED = {
    "previous_response_id": "no responses are kept here: send the whole conversation in `input`",
    "conversation": "no conversations are kept here: send the whole conversation in `input`",
    "prompt": "no prompts are kept here: send `instructions` and `input`",
    "context_management": "the context is never changed here",
    "moderation": "nothing is moderated here",
}
LOGPROBS = "message.output_text.logprobs"
# What chat calls a parameter of ours, for the words of its refusals.
CHAT_NAMES = {"messages": "input", "max_completion_tokens": "max_output_tokens", "response_format": "text"}
FORMAT_KEYS = ("name", "description", "schema", "strict")


class TextOptions(BaseModel):
    """`text`: the shape of the answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: dict | None = None
    verbosity: Literal["medium"] | None = None


class Reasoning(BaseModel):
    """`reasoning`: how long a reasoning model may think; others take no notice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ResponseStreamOptions(BaseModel):
    """`stream_options`: padding against eavesdroppers, which is never added here."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_obfuscation: bool | None = None


class ResponseParameters(BaseModel):
    """POST /v1/responses."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1)
    input: Annotated[str, Field(min_length=1)] | Annotated[list[dict], Field(min_length=1, max_length=4096)]
    background: Literal[False] | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = None
    instructions: str | None = None
    max_output_tokens: Annotated[int | None, Field(ge=1, le=2**31)] = None
    max_tool_calls: Annotated[int | None, Field(ge=1)] = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False)] = None
    text: TextOptions | None = None
    tool_choice: Literal["none", "auto", "required"] | dict | None = None
    tools: Annotated[list[dict] | None, Field(max_length=128)] = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    truncation: Literal["disabled"] | None = None
    # Accepted and without effect: who asks, and how OpenAI would store and route it. Nothing is stored here.
    user: str | None = None
    metadata: Annotated[dict[str, str] | None, Field(max_length=16)] = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None


def check_response(body: dict) -> ResponseParameters:
    """The parameters in a body. Raises `ApiError` 400 naming the first that cannot be served."""
    for name, reason in UNSUPPORTED.items():
        if body.get(name) is not None:
            message = f"`{name}` is not supported, for {reason}."
            raise ApiError(400, message, param=name, code="unsupported_parameter")
    return validated(ResponseParameters, {name: value for name, value in body.items() if name not in UNSUPPORTED})


def chat_request(wanted: ResponseParameters) -> dict:
    """The same as a checked chat request. Raises `ApiError` 400."""
    body = {
        "model": wanted.model,
        "messages": as_messages(wanted.instructions, wanted.input),
        "max_completion_tokens": wanted.max_output_tokens,
        "parallel_tool_calls": wanted.parallel_tool_calls,
        "reasoning_effort": wanted.reasoning and wanted.reasoning.effort,
        "response_format": wanted.text and _response_format(wanted.text.format),
        "stream": wanted.stream,
        "stream_options": {"include_usage": True} if wanted.stream else None,
        "temperature": wanted.temperature,
        "tool_choice": _tool_choice(wanted),
        "tools": [_chat_tool(tool, f"tools[{place}]") for place, tool in enumerate(wanted.tools or [])] or None,
        "top_p": wanted.top_p,
    }
    if LOGPROBS in (wanted.include or []):
        body |= {"logprobs": True, "top_logprobs": wanted.top_logprobs or 0}
    body = {name: value for name, value in body.items() if value is not None}
    try:
        check_chat(body)
    except ApiError as error:
        raise in_our_terms(error) from None
    return body


def in_our_terms(error: ApiError) -> ApiError:
    """A refusal of the chat endpoint as one of this endpoint."""
    param, message = error.param, error.message
    for theirs, ours in CHAT_NAMES.items():
        if param and param.partition("[")[0] == theirs:
            param, message = param.replace(theirs, ours, 1), message.replace(f"`{theirs}", f"`{ours}")
    return ApiError(error.status, message, param=param, code=error.code, headers=error.headers)


def _response_format(wanted: dict | None) -> dict | None:
    """Chat has the keys of a JSON schema one level deeper."""
    if wanted is None or wanted.get("type") != "json_schema":
        return wanted
    return {"type": "json_schema", "json_schema": {key: wanted[key] for key in FORMAT_KEYS if key in wanted}}


def _chat_tool(tool: dict, place: str) -> dict:
    if tool.get("type") != "function":
        message = f"Invalid value: `{place}` is of type {str(tool.get('type'))[:100]!r}: only functions are tools here."
        raise ApiError(400, message, param=place, code="invalid_value")
    try:
        function = Function.model_validate(tool)
    except ValidationError:
        raise invalid(place, 'must be {"type": "function", "name": "...", "parameters": {...}}') from None
    return {"type": "function", "function": function.model_dump(exclude_none=True)}


def _tool_choice(wanted: ResponseParameters) -> Any:
    choice = wanted.tool_choice
    if not isinstance(choice, dict):
        return choice if wanted.tools else None
    if choice.get("type") != "function":
        raise invalid("tool_choice", "must be none, auto, required or a function")
    return {"type": "function", "function": {"name": choice.get("name")}}
