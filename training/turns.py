"""What the assistant says in a conversation, found where the chat template does not mark it."""

from collections.abc import Callable

from serving.errors import UserError

Write = Callable[[list[dict], list[dict] | None, bool], str]
"""Messages and tool schemas as the template writes them; with True, up to where an answer begins."""
PROBE = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * 2


class UnstableTemplateError(UserError):
    """A chat template that writes a turn otherwise once another follows."""


def answers_in(write: Write, messages: list[dict], tools: list[dict] | None) -> tuple[str, list[tuple[int, int]]]:
    """The conversation as text, and the spans of it that the assistant says, each with the token that ends it.

    An answer is what the text has more than the text before it. Raises `UnstableTemplateError` where that is not so.
    """
    text, spans = write(messages, tools, False), []
    for place, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = write(messages[:place], tools, True)
        until = write(messages[: place + 1], tools, False).rstrip("\n")
        if not (until.startswith(before) and text.startswith(until)):
            raise UnstableTemplateError(
                "The chat template neither marks what the assistant says, nor writes a turn the same whatever follows: "
                "no answer can be told from the rest; use a base with another template."
            )
        spans.append((len(before), len(until)))
    return text, spans


def tells_answers(write: Write, end: str) -> bool:
    """Whether answers can be found in what a template writes, and end with `end`, by which the model stops."""
    try:
        text, spans = answers_in(write, PROBE, None)
    except UnstableTemplateError:
        return False
    return all(text[start:stop].endswith(end) and "b" in text[start:stop] for start, stop in spans)
