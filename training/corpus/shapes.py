"""The row shapes that data sets are published in, turned into the two this project trains on.

A text document is `{"text"}`; a chat document is `{"messages", "tools"?}` with OpenAI's messages, whose tool calls
carry their arguments as an object. `tools` holds names of our own tools or whole function schemas.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from prompts.library import TOOL_NAMES

Kind = Literal["text", "chat"]
FIELD = re.compile(r"\{([\w.-]+)\}")
ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "function_call": "call", "tool_call": "call",
    "tool": "tool", "observation": "tool", "function_response": "tool", "tool_response": "tool", "function": "tool",
}  # fmt: skip


class ShapeError(Exception):
    """A row that makes no document; the message is the reason under which it is counted."""


def to_document(
    row: Mapping[str, Any], kind: Kind, fields: Mapping[str, str] | None = None, max_messages: int | None = None
) -> dict:
    """The document that `row` holds.

    `fields` maps our names to the row's: a name, or a template such as "{title}: {text}".
    A conversation of more than `max_messages` is cut after the last answer within them.
    Raises `ShapeError` with the reason when it holds none.
    """
    row = _mapped(row, fields or {})
    return {"text": _text(row)} if kind == "text" else _conversation(row, max_messages)


def words_of(document: dict) -> str:
    """All that is said in a document, as one string."""
    if "text" in document:
        return document["text"]
    return "\n".join(m["content"] or json.dumps(m["tool_calls"], sort_keys=True) for m in document["messages"])


def _mapped(row: Mapping[str, Any], fields: Mapping[str, str]) -> Mapping[str, Any]:
    if not fields:
        return row
    return {**row, **{ours: _filled(theirs, row) for ours, theirs in fields.items()}}


def _filled(template: str, row: Mapping[str, Any]) -> Any:
    if "{" not in template:
        return _at(row, template)
    return FIELD.sub(lambda match: _as_text(_at(row, match[1])), template)


def _at(row: Any, path: str) -> Any:
    """The value at a dotted path ("answers.0")."""
    for step in path.split("."):
        try:
            row = row[int(step)] if isinstance(row, list) else row[step]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ShapeError(f"no field {path!r}") from None
    return row


def _as_text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n\n".join(value)
    if value is None or isinstance(value, (dict, list)):
        raise ShapeError("no text")
    return str(value)


def _text(row: Mapping[str, Any]) -> str:
    if "text" not in row:
        raise ShapeError("no field 'text'")
    return _as_text(row["text"])


def _conversation(row: Mapping[str, Any], max_messages: int | None) -> dict:
    read = next((read for keys, read in SHAPES if all(key in row for key in keys)), None)
    if read is None:
        raise ShapeError("no known shape")
    document: dict[str, Any] = {"messages": _answered(_tidy(read(row))[:max_messages])}
    if tools := _tools(row.get("tools")):
        document["tools"] = tools
    return document


def _list(row: Mapping[str, Any], key: str) -> list:
    if not isinstance(row[key], list):
        raise ShapeError(f"no list {key!r}")
    return row[key]


def _pair(prompt: Any, completion: Any, system: Any = None) -> list[dict]:
    if isinstance(prompt, list):
        return [*prompt, *(completion if isinstance(completion, list) else _pair("", completion)[1:])]
    first = [{"role": "system", "content": _as_text(system)}] if system else []
    return [
        *first,
        {"role": "user", "content": _as_text(prompt)},
        {"role": "assistant", "content": _as_text(completion)},
    ]


def _instruction(row: Mapping[str, Any]) -> list[dict]:
    prompt = "\n\n".join(_as_text(part) for part in (row["instruction"], row.get("input")) if part)
    return _pair(prompt, row["output"], row.get("system"))


def _question(row: Mapping[str, Any]) -> list[dict]:
    answer = row["answer"] if "answer" in row else row["answers"]
    prompt = "\n\n".join(_as_text(part) for part in (row.get("context"), row["question"]) if part)
    return _pair(prompt, (answer or [""])[0] if isinstance(answer, list) else answer, row.get("system"))


def _speakers(row: Mapping[str, Any]) -> list[dict]:
    """Turns of two people: whoever speaks first is the user."""
    messages, first = [], None
    for number, turn in enumerate(_list(row, "turns")):
        speaker, text = number % 2, turn
        if isinstance(turn, dict):
            speaker = next((turn[key] for key in ("speaker", "agent", "role", "from") if key in turn), number % 2)
            text = next((turn[key] for key in ("text", "content", "value") if key in turn), None)
        first = speaker if first is None else first
        messages.append({"role": "user" if speaker == first else "assistant", "content": _as_text(text)})
    return messages


def _sharegpt(row: Mapping[str, Any]) -> list[dict]:
    """ShareGPT's turns, with LLaMA-Factory's `function_call` and `observation`."""
    messages, calls = [], 0
    if row.get("system"):
        messages.append({"role": "system", "content": _as_text(row["system"])})
    for turn in _list(row, "conversations"):
        if not isinstance(turn, dict):
            raise ShapeError("unknown role")
        role = ROLES.get(str(turn.get("from", turn.get("role"))).lower())
        value = turn.get("value", turn.get("content"))
        if role == "call":
            parsed = _parsed(value)
            made = [
                _call(call, calls + i) for i, call in enumerate(parsed if isinstance(parsed, list) else [parsed], 1)
            ]
            calls += len(made)
            messages.append({"role": "assistant", "content": None, "tool_calls": made})
        elif role == "tool":
            messages.append({"role": "tool", "tool_call_id": f"call_{calls}", "content": _as_text(value)})
        elif role:
            messages.append({"role": role, "content": _as_text(value)})
        else:
            raise ShapeError("unknown role")
    return messages


def _call(call: Any, number: int) -> dict:
    """An OpenAI tool call out of one with only a name and arguments, or out of one that is whole already."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ShapeError("broken tool call")
    name, arguments = function["name"], _parsed(function.get("arguments") or {})
    if not isinstance(arguments, dict):
        raise ShapeError("broken tool call")
    return {
        "id": call.get("id") or f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ShapeError("broken tool call") from None


def _tools(value: Any) -> list:
    """Names of our tools as they are; function schemas in OpenAI's wrapping."""
    tools = _parsed(value) or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) or tool in TOOL_NAMES for tool in tools):
        raise ShapeError("broken tool list")
    return [t if isinstance(t, str) or "function" in t else {"type": "function", "function": t} for t in tools]


SHAPES: tuple[tuple[tuple[str, ...], Callable[[Mapping[str, Any]], list[dict]]], ...] = (
    (("messages",), lambda row: _list(row, "messages")),
    (("conversations",), _sharegpt),
    (("prompt", "completion"), lambda row: _pair(row["prompt"], row["completion"], row.get("system"))),
    (("instruction", "output"), _instruction),
    (("question", "answer"), _question),
    (("question", "answers"), _question),
    (("turns",), _speakers),
)


def _tidy(messages: list[dict]) -> list[dict]:
    """Checked messages: after the system prompt a user begins, and nobody speaks twice in a row."""
    tidied: list[dict] = []
    for message in messages:
        message = _checked(message)
        if tidied and _continues(message, tidied[-1]):
            tidied[-1]["content"] += "\n" + message["content"]
        elif message["role"] == "assistant" and not any(m["role"] == "user" for m in tidied):
            continue
        else:
            tidied.append(message)
    return tidied


def _answered(messages: list[dict]) -> list[dict]:
    """`messages` up to the last answer."""
    ends = [number for number, m in enumerate(messages, 1) if m["role"] == "assistant" and not m.get("tool_calls")]
    if not ends:
        raise ShapeError("no answer")
    return messages[: ends[-1]]


def _continues(message: dict, last: dict) -> bool:
    """Whether the speaker of `last` simply goes on."""
    if message["role"] != last["role"] or message["role"] not in ("user", "assistant"):
        return False
    return not (message.get("tool_calls") or last.get("tool_calls"))


def _checked(message: Any) -> dict:
    role = ROLES.get(str(message.get("role")).lower()) if isinstance(message, dict) else None
    if role not in ("system", "user", "assistant", "tool"):
        raise ShapeError("unknown role")
    checked: dict[str, Any] = {"role": role, "content": _content(message.get("content"))}
    if calls := message.get("tool_calls"):
        if not isinstance(calls, list):
            raise ShapeError("broken tool call")
        checked["tool_calls"] = [_call(call, number) for number, call in enumerate(calls, 1)]
    elif not (checked["content"] or "").strip():
        raise ShapeError("empty turn")
    if role == "tool":
        checked["tool_call_id"] = message.get("tool_call_id") or "call_1"
    return checked


def _content(content: Any) -> str | None:
    """A message's words; of content parts only the text ones are kept."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return content if content is None else _as_text(content)
