"""What was said in a conversation, as the messages of a request to a model."""

import json
from collections.abc import Iterable, Iterator

from assistant.events import Step
from assistant.tables import Message


def as_openai(path: Iterable[Message]) -> list[dict]:
    """Messages from the root to a leaf in OpenAI's shape, with the tools that ran; without those that say nothing."""
    return [openai for message in path for openai in _openai(message)]


def _openai(message: Message) -> Iterator[dict]:
    for number, step in enumerate(message.steps):
        yield from _called(f"call_{message.id[-8:]}_{number}", step)
    if message.content:
        yield {"role": message.role, "content": message.content}


def _called(call_id: str, step: Step) -> Iterator[dict]:
    """A call and its result. What a model wrote as arguments need not be JSON, but what a model reads must be."""
    function = {"name": step["name"], "arguments": _valid(step["arguments"])}
    call = {"id": call_id, "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [call]}
    yield {"role": "tool", "tool_call_id": call_id, "content": step["said"]}


def _valid(arguments: str) -> str:
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except ValueError:
        return "{}"
