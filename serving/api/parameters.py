"""What a request may ask for: OpenAI's parameters with their bounds, and vLLM's extras by name."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.api.errors import ApiError
from serving.api.schemas import is_circular

# OpenAI's parameters that no engine here honours.
UNSUPPORTED = frozenset({
    "audio", "best_of", "function_call", "functions", "moderation", "prediction", "suffix", "verbosity",
    "web_search_options",
})  # fmt: skip
RESERVED_TEMPLATE_KEYS = frozenset({"tokenize", "chat_template", "messages", "tools", "return_dict", "return_tensors"})
MAX_NESTING = 64
# Where schemas are: a parameter, or each of its items, and the keys below it.
SCHEMAS = (
    ("tools", "function", "parameters"),
    ("response_format", "json_schema", "schema"),
    ("structured_outputs", "json"),
)
MAX_ANSWERS = 128
PARTS = {"system": {"text"}, "user": {"text"}, "assistant": {"text", "refusal"}, "tool": {"text"}}

Kind = TypeVar("Kind", bound=BaseModel)


def _number(low: float, high: float) -> Any:
    return Annotated[float | None, Field(ge=low, le=high, allow_inf_nan=False)]


def _integer(low: int, high: int) -> Any:
    return Annotated[int | None, Field(ge=low, le=high)]


TokenIds = Annotated[list[Annotated[int, Field(ge=0, le=2**31 - 1)]] | None, Field(max_length=1024)]


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class Function(BaseModel):
    """What a tool does."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict | None = None
    strict: bool | None = None


class Tool(BaseModel):
    """One of `tools`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: Literal["function"]
    function: Function


class JsonSchema(BaseModel):
    """The shape of an answer, in `response_format`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    name: str
    description: str | None = None
    strict: bool | None = None
    content: dict = Field(alias="schema")


class VllmExtras(BaseModel):
    """vLLM's own parameters that are safe to hand on.

    Left out on purpose: chat_template (code from a request), prompt_embeds (a pickle), priority, request_id and the
    transfer parameters (they reach into the scheduler).
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    add_generation_prompt: bool | None = None
    add_special_tokens: bool | None = None
    allowed_token_ids: TokenIds = None
    bad_words: Annotated[list[str] | None, Field(max_length=128)] = None
    cache_salt: Annotated[str | None, Field(min_length=1)] = None
    chat_template_kwargs: dict | None = None
    continue_final_message: bool | None = None
    ignore_eos: bool | None = None
    include_reasoning: bool | None = None
    include_stop_str_in_output: bool | None = None
    length_penalty: _number(-10, 10) = None
    logprob_token_ids: TokenIds = None
    min_p: _number(0, 1) = None
    min_tokens: _integer(0, 2**31) = None
    prompt_logprobs: _integer(0, 20) = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    repetition_penalty: _number(0.01, 10) = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    stop_token_ids: TokenIds = None
    structured_outputs: dict | None = None
    top_k: _integer(-1, 2**31 - 1) = None
    truncate_prompt_tokens: _integer(-1, 2**31 - 1) = None
    truncation_side: Literal["left", "right"] | None = None


VLLM_EXTRAS = frozenset(VllmExtras.model_fields)


class Parameters(VllmExtras):
    """What chat and plain completions share, in the order of OpenAI's documentation."""

    model: str = Field(min_length=1)
    frequency_penalty: _number(-2, 2) = None
    logit_bias: Annotated[dict[str, _number(-100, 100)] | None, Field(max_length=1024)] = None
    max_tokens: _integer(1, 2**31) = None
    n: _integer(1, MAX_ANSWERS) = None
    presence_penalty: _number(-2, 2) = None
    response_format: dict | None = None
    seed: _integer(-(2**63), 2**63 - 1) = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: _number(0, 2) = None
    top_p: _number(0, 1) = None
    # Accepted and without effect: who asks, and how OpenAI would store and route it.
    user: str | None = None
    metadata: dict | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


class ChatParameters(Parameters):
    """POST /v1/chat/completions."""

    messages: Annotated[list[dict], Field(min_length=1, max_length=4096)]
    logprobs: bool | None = None
    max_completion_tokens: _integer(1, 2**31) = None
    modalities: list[Literal["text"]] | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: Literal["none", "auto", "required"] | dict | None = None
    tools: Annotated[list[dict], Field(min_length=1, max_length=128)] | None = None
    top_logprobs: _integer(0, 20) = None


class CompletionParameters(Parameters):
    """POST /v1/completions. `max_tokens` 0 with `echo` scores a prompt."""

    prompt: str | Annotated[list[str] | list[int] | list[list[int]], Field(min_length=1, max_length=2**20)]
    echo: bool | None = None
    logprobs: _integer(0, 20) = None
    max_tokens: _integer(0, 2**31) = None


def check_chat(body: dict) -> None:
    """Raise `ApiError` 400 naming the first parameter of a chat request that cannot be served."""
    wanted = _validate(ChatParameters, body)
    if wanted.top_logprobs is not None and not wanted.logprobs:
        raise invalid("top_logprobs", "needs `logprobs` to be true")
    _check_tools(wanted)
    for place, message in enumerate(wanted.messages):
        _check_message(message, f"messages[{place}]")


def check_completion(body: dict) -> None:
    """Raise `ApiError` 400 naming the first parameter of a completion request that cannot be served."""
    wanted = _validate(CompletionParameters, body)
    several = isinstance(wanted.prompt, list) and not isinstance(wanted.prompt[0], int)
    prompts = len(wanted.prompt) if several else 1
    if prompts > MAX_ANSWERS:
        raise invalid("prompt", f"may hold at most {MAX_ANSWERS} prompts")
    if prompts * (wanted.n or 1) > MAX_ANSWERS:
        raise invalid("n", f"asks for more than {MAX_ANSWERS} answers, with {prompts} prompts")


def validated(kind: type[Kind], body: dict) -> Kind:
    """The parameters in a body. Raises `ApiError` 400 naming the first that pydantic objects to."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise first_problem(error) from None


def invalid(param: str, problem: str) -> ApiError:
    """A parameter whose value cannot be used; `problem` continues the sentence after its name."""
    return ApiError(400, f"Invalid value: `{param}` {problem}.", param=param, code="invalid_value")


def _validate(kind: type[Parameters], body: dict) -> Any:
    for name in body:
        if name in UNSUPPORTED and body[name] is not None:
            raise ApiError(400, f"`{name}` is not supported here.", param=name, code="unsupported_parameter")
    wanted = validated(kind, {name: value for name, value in body.items() if name not in UNSUPPORTED})
    if wanted.stream_options and not wanted.stream:
        raise invalid("stream_options", "is only allowed when `stream` is true")
    _check_response_format(wanted.response_format)
    if RESERVED_TEMPLATE_KEYS & (wanted.chat_template_kwargs or {}).keys():
        raise invalid("chat_template_kwargs", "must be an object without " + ", ".join(sorted(RESERVED_TEMPLATE_KEYS)))
    for name in ("tools", "response_format", "structured_outputs", "chat_template_kwargs", "metadata"):
        if _nesting_exceeds(body.get(name), MAX_NESTING):
            raise invalid(name, f"is nested more than {MAX_NESTING} deep")
    for name, *way in SCHEMAS:
        for value in body.get(name) if isinstance(body.get(name), list) else [body.get(name)]:
            if is_circular(_at(value, *way)):
                raise invalid(name, "has a schema that is defined by itself")
    return wanted


def first_problem(error: ValidationError) -> ApiError:
    """The 400 that names the first parameter pydantic objects to."""
    problems = error.errors(include_url=False, include_input=False)
    # Of a union's complaints the telling one is not about the type of the members that were not meant.
    problem = next((problem for problem in problems if not problem["type"].endswith("_type")), problems[0])
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        message = f"Unrecognized request argument supplied: {name[:100]}"
        return ApiError(400, message, param=name[:100], code="unknown_parameter")
    if problem["type"] == "missing":
        return ApiError(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    text = problem["msg"].removeprefix("Input ").partition(" after validation")[0]
    return invalid(name, text[0].lower() + text[1:])


def _check_response_format(wanted: dict | None) -> None:
    if wanted is None:
        return
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        raise invalid("response_format", "must have the type text, json_object or json_schema")
    if kind == "json_schema":
        try:
            JsonSchema.model_validate(wanted.get("json_schema"))
        except ValidationError:
            raise invalid(
                "response_format", "of type json_schema needs `json_schema` with `name` and `schema`"
            ) from None


def _check_tools(wanted: ChatParameters) -> None:
    names = set()
    for place, tool in enumerate(wanted.tools or []):
        try:
            names.add(Tool.model_validate(tool).function.name)
        except ValidationError:
            shape = 'must be {"type": "function", "function": {"name": "...", "parameters": {...}}}'
            raise invalid(f"tools[{place}]", shape) from None
    choice = wanted.tool_choice
    if choice in (None, "none"):
        return
    if not names:
        raise invalid("tool_choice", "is only allowed when `tools` are given")
    if isinstance(choice, dict):
        function = choice.get("function") if choice.get("type") == "function" else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or name not in names:
            raise invalid("tool_choice", f"names the tool {str(name)[:100]!r}, which is not among `tools`")


def _check_message(message: dict, place: str) -> None:
    role = "system" if message.get("role") == "developer" else message.get("role")
    if not isinstance(role, str) or role not in PARTS:
        raise invalid(f"{place}.role", "must be developer, system, user, assistant or tool")
    content = message.get("content")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise invalid(f"{place}.tool_call_id", "is missing: it says which call this is the result of")
    if role == "assistant":
        _check_calls(message.get("tool_calls"), f"{place}.tool_calls")
    if (content is None and role == "assistant") or isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise invalid(f"{place}.content", "must be a string or a list of content parts")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str) or kind not in PARTS[role]:
            raise invalid(f"{place}.content", f"has a part of type {str(kind)[:100]!r}, which this model cannot read")
        if not isinstance(part.get(kind), str):
            raise invalid(f"{place}.content", f"has a {kind} part without `{kind}`")


def _check_calls(calls: object, place: str) -> None:
    if calls is None:
        return
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function") if isinstance(call, dict) else None
        texts = [call.get("id"), function.get("name"), function.get("arguments")] if isinstance(function, dict) else []
        if not texts or not all(isinstance(text, str) for text in texts) or not _is_object(function["arguments"]):
            raise invalid(place, 'must be a list of {"id": "...", "function": {"name": "...", "arguments": "{...}"}}')


def _is_object(arguments: str) -> bool:
    """Whether it is JSON that a chat template can write out; some clients send nothing for no arguments."""
    try:
        return not arguments or isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _nesting_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        if not level:
            return False
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(level)
