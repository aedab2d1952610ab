"""The agent as the model `assistant` of the API: its tools run on this server."""

from fastapi.responses import Response

from assistant.agent import Agent
from assistant.events import Wish
from assistant.markdown_pictures import without_pictures
from assistant.served_answer import ServedAnswer
from serving.access import identity
from serving.api.disconnect import while_connected
from serving.api.errors import ApiError
from serving.api.models import Handler, ModelRequest
from serving.api.parameters import VLLM_EXTRAS

NAME = "assistant"
SILENCE_S = 15.0
SAMPLING = frozenset({
    "frequency_penalty", "logit_bias", "max_completion_tokens", "max_tokens", "presence_penalty", "seed", "stop",
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "min_tokens", "bad_words",
})  # fmt: skip
REFUSED = {
    "tools": "has tools of its own, which run on this server: ask the model behind it to call yours",
    "tool_choice": "chooses among its own tools: leave `tool_choice` out",
    "logprobs": "gives no `logprobs`, since several calls make one answer",
    "response_format": "answers in plain text: ask the model behind it for a `response_format`",
} | dict.fromkeys(VLLM_EXTRAS - SAMPLING, "does not take this parameter: ask the model behind it")
HARMLESS = {"tool_choice": "none", "response_format": {"type": "text"}}


def served_model(agent: Agent) -> Handler:
    """The handler of requests for the model `assistant`. It raises `ApiError` for what an agent cannot do."""

    async def answer(request: ModelRequest) -> Response:
        _check(request)
        answer = ServedAnswer(request, NAME)
        respond = answer.streamed if request.body.get("stream") else answer.whole
        return await while_connected(request.http, respond(agent.answer(_wish(request))))

    return answer


def _check(request: ModelRequest) -> None:
    if request.endpoint != "chat/completions":
        raise _refusal("model", "holds conversations: use /v1/chat/completions")
    for name, reason in REFUSED.items():
        value = request.body.get(name)
        if value not in (None, False, HARMLESS.get(name)):
            raise _refusal(name, reason)
    if (request.body.get("n") or 1) > 1:
        raise _refusal("n", "gives one answer at a time: `n` must be 1")


def _refusal(param: str, reason: str) -> ApiError:
    return ApiError(400, f"The model `{NAME}` {reason}.", param=param, code="unsupported_parameter")


def _wish(request: ModelRequest) -> Wish:
    said = request.body["messages"]
    messages = [_heard(message) for message in said if message["role"] != "system"]
    if not messages:
        message = "There is nothing to answer: `messages` needs one that is not the system's."
        raise ApiError(400, message, param="messages", code="invalid_value")
    instructions = [_text(message["content"]) for message in said if message["role"] == "system"]
    who = identity(request.http)
    return Wish(
        user_id=who.user_id,
        may_draw="images" in who.scopes,
        messages=messages,
        instructions="\n\n".join(instructions) or None,
        sampling={name: value for name, value in request.body.items() if name in SAMPLING},
    )


def _heard(message: dict) -> dict:
    """What of it goes to the model, which can make nothing of its pictures' URLs, nor we of fields unknown."""
    heard = {key: message[key] for key in ("role", "tool_call_id") if key in message}
    if calls := message.get("tool_calls"):
        heard["tool_calls"] = [_call(call["id"], call["function"]) for call in calls]
    text = _text(message.get("content") or "")
    return heard | {"content": without_pictures(text) if message["role"] == "assistant" else text}


def _call(call_id: str, function: dict) -> dict:
    """With the arguments that a client leaves out where there are none."""
    called = {"name": function["name"], "arguments": function["arguments"] or "{}"}
    return {"id": call_id, "type": "function", "function": called}


def _text(content: str | list[dict]) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
