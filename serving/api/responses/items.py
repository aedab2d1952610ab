"""The items of a response's input as the messages of a chat."""

from typing import Any

from serving.api.errors import ApiError
from serving.api.parameters import invalid

ROLES = {"developer": "system", "system": "system", "user": "user", "assistant": "assistant"}
TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}


def as_messages(instructions: str | None, items: str | list[dict]) -> list[dict]:
    """The conversation so far. Raises `ApiError` 400 naming the first item that cannot be read."""
    messages = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    for place, item in enumerate(items):
        _add(messages, item, f"input[{place}]")
    return messages


def _add(messages: list[dict], item: dict, place: str) -> None:
    match item.get("type", "message"):
        case "message":
            messages.append(_message(item, place))
        case "function_call":
            _add_call(messages, item, place)
        case "function_call_output":
            call_id = _text_of(item, "call_id", place)
            messages.append({"role": "tool", "tool_call_id": call_id, "content": _content(item, "output", place)})
        case "reasoning":
            pass  # what a model thought is no part of the conversation that it goes on from
        case "item_reference":
            raise invalid(place, "refers to an item that is not kept here: send the item itself")
        case other:
            raise invalid(place, f"has the type {str(other)[:100]!r}, which this model cannot read")


def _message(item: dict, place: str) -> dict:
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise invalid(f"{place}.role", "must be developer, system, user or assistant")
    return {"role": ROLES[role], "content": _content(item, "content", place)}


def _add_call(messages: list[dict], item: dict, place: str) -> None:
    """Chat keeps the calls of one turn, and the words before them, in one message."""
    function = {"name": _text_of(item, "name", place), "arguments": _text_of(item, "arguments", place)}
    call = {"id": _text_of(item, "call_id", place), "type": "function", "function": function}
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _text_of(item: dict, key: str, place: str) -> str:
    if not isinstance(item.get(key), str):
        param = f"{place}.{key}"
        raise ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return item[key]


def _content(item: dict, key: str, place: str) -> Any:
    """A text, or the texts of its parts, one after the other."""
    content = item.get(key)
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(f"{place}.{key}", "must be a string or a list of content parts")
    return "".join(_part(part, f"{place}.{key}") for part in content)


def _part(part: object, place: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind not in TEXT_PARTS:
        raise invalid(place, f"has a part of type {str(kind)[:100]!r}, which this model cannot read")
    text = part.get(TEXT_PARTS[kind])
    if not isinstance(text, str):
        raise invalid(place, f"has an {kind} part without `{TEXT_PARTS[kind]}`")
    return text
