"""A conversation over the OpenAI API: with the model `assistant` of a Homegrown, or with any model of any server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assistant.events import Forgot, Text, Told, ToolStep
from assistant.personas import Voice
from assistant.wire_steps import FIELD, HEADER, from_wire
from serving.errors import UserError

if TYPE_CHECKING:
    from openai import OpenAI, Stream
    from openai.types.chat import ChatCompletionChunk

ASSISTANT = "assistant"


class TooLongError(UserError):
    """A single message that does not fit into the model's context."""


class Dialogue:
    """The turns so far and how to take the next one.

    `voice` is how the model is spoken to; without one the server's assistant answers, which knows that itself.
    """

    def __init__(self, client: "OpenAI", model: str, voice: Voice | None) -> None:
        self.client, self.model, self.voice = client, model, voice
        self.turns: list[list[dict]] = []

    def forget(self) -> None:
        """Start afresh."""
        self.turns = []

    def answer(self, question: str) -> Iterator[Told]:
        """Take one turn. When the reader stops early, the history keeps what was said until then.

        Raises `TooLongError`, and what the OpenAI client raises.
        """
        turn = [{"role": "user", "content": question}]
        self.turns.append(turn)
        said = ""
        try:
            for event in self._events():
                match event:
                    case Text(text):
                        said += text
                    case ToolStep(id, step):
                        turn += _called(id, step, said)
                        said = ""
                    case Forgot():
                        del self.turns[0]
                yield event
        finally:
            if said:
                turn.append({"role": "assistant", "content": said})
            if len(turn) == 1:
                self.turns.remove(turn)  # nothing was answered: the question may be asked again

    def _events(self) -> Iterator[Told]:
        with (yield from self._open_stream()) as stream:
            begins = True
            for chunk in stream:
                if told := (chunk.model_extra or {}).get(FIELD):
                    yield from_wire(told)
                    begins = True
                # A paragraph begins after a tool, and is on a line of its own here anyway.
                text = (chunk.choices and chunk.choices[0].delta.content) or ""
                if text := text.lstrip("\n") if begins else text:
                    yield Text(text)
                    begins = False

    def _open_stream(self) -> "Iterator[Forgot]":
        """Ask, without the oldest turns as far as the context is exceeded; returns the stream."""
        from openai import BadRequestError

        while True:
            try:
                return self._ask()
            except BadRequestError as error:
                if error.code != "context_length_exceeded":
                    raise
                if len(self.turns) == 1:
                    raise TooLongError("Your message is longer than the model's context: shorten it.") from None
                yield Forgot()

    def _ask(self) -> "Stream[ChatCompletionChunk]":
        messages = [message for turn in self.turns for message in turn]
        ask = self.client.chat.completions.create
        if self.voice is None:
            return ask(model=ASSISTANT, messages=messages, stream=True, extra_headers={HEADER: "1"})
        options = {} if self.voice.temperature is None else {"temperature": self.voice.temperature}
        system = {"role": "system", "content": self.voice.system(None, None)}
        return ask(model=self.model, messages=[system, *messages], stream=True, **options)


def _called(call_id: str, step: dict, said: str) -> list[dict]:
    """A tool's call, with what was said before it, and its result as messages."""
    function = {"name": step["name"], "arguments": step["arguments"]}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": said or None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": step["said"]},
    ]
