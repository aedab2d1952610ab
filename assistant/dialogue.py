"""A conversation with a model over the OpenAI API: streamed, with tools, kept inside the model's context."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.tools.toolbox import run_tool
from prompts.library import FOLDER, persona, tool_schemas
from serving.errors import UserError

if TYPE_CHECKING:
    from openai import OpenAI

MAX_TOOL_ROUNDS = 3


@dataclass(frozen=True)
class Voice:
    """How a model is spoken to: its system prompt, the tools it is offered, its temperature (None: its own)."""

    system: str
    tools: list[dict]
    temperature: float | None

    @classmethod
    def of(cls, folder: Path | None) -> "Voice":
        """The voice for the model in `folder`; None is a model that we know nothing about."""
        from serving.model_folder import read_lineage

        if folder and (folder / "lineage.json").is_file():
            recipe = read_lineage(folder).recipe or ""
            known = (FOLDER / "personas" / f"{recipe}.md").is_file()
            return cls(persona(recipe) if known else persona(), tool_schemas(), 0.0)
        return cls(persona("plain"), tool_schemas() if folder and _template_knows_tools(folder) else [], None)


@dataclass(frozen=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model called and that runs now."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolStep:
    """A tool that has run: what it returned, as a person reads it, and the file of the picture if it drew one."""

    name: str
    arguments: str
    result: str
    picture: Path | None = None


@dataclass(frozen=True)
class Forgot:
    """The oldest turn no longer fits into the context and was dropped."""


Event = Text | ToolCall | ToolStep | Forgot
"""What happens while a turn is taken."""


class TooLongError(UserError):
    """A single message that does not fit into the model's context."""


@dataclass
class _Reply:
    """What one request streams: text, and tool calls put together from their pieces."""

    text: str = ""
    calls: dict[int, dict] = field(default_factory=dict)

    def message(self) -> dict:
        """As an assistant message of the history."""
        message: dict = {"role": "assistant", "content": self.text or None}
        if self.calls:
            message["tool_calls"] = [self.calls[index] for index in sorted(self.calls)]
        return message

    def add_call(self, piece: object) -> None:
        """Add a streamed piece of a tool call: its id and name come first, its arguments bit by bit."""
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = self.calls.setdefault(piece.index, empty)
        call["id"] = piece.id or call["id"]
        if piece.function:
            call["function"]["name"] += piece.function.name or ""
            call["function"]["arguments"] += piece.function.arguments or ""


class Dialogue:
    """The turns so far and how to take the next one."""

    def __init__(self, client: "OpenAI", model: str, voice: Voice) -> None:
        self.client, self.model, self.voice = client, model, voice
        self.turns: list[list[dict]] = []

    def forget(self) -> None:
        """Start afresh."""
        self.turns = []

    def answer(self, question: str) -> Iterator[Event]:
        """Take one turn. When the reader stops early, the history keeps what was said until then.

        Raises `TooLongError`, and what the OpenAI client raises.
        """
        turn = [{"role": "user", "content": question}]
        self.turns.append(turn)
        try:
            for round_number in range(MAX_TOOL_ROUNDS + 1):
                reply = yield from self._reply(turn, offer_tools=round_number < MAX_TOOL_ROUNDS)
                if not reply.calls:
                    return
                turn += yield from self._run_tools(turn)
        finally:
            if len(turn) == 1:
                self.turns.remove(turn)  # nothing was answered: the question may be asked again

    def _run_tools(self, turn: list[dict]) -> Iterator[ToolCall | ToolStep]:
        """Run the tools that the turn's last message calls; returns their results as messages."""
        results = []
        try:
            for call in turn[-1]["tool_calls"]:
                name, arguments = call["function"]["name"], call["function"]["arguments"]
                yield ToolCall(name, arguments)
                outcome = run_tool(name, arguments, self.client)
                results.append({"role": "tool", "tool_call_id": call["id"], "content": outcome.said})
                yield ToolStep(name, arguments, outcome.shown, outcome.picture)
        except BaseException:
            calling = turn.pop()  # a call without its result would not be a valid history
            if calling["content"]:
                turn.append({"role": "assistant", "content": calling["content"]})
            raise
        return results

    def _reply(self, turn: list[dict], offer_tools: bool) -> Iterator[Text | Forgot]:
        """Stream one message of the model into the turn; returns it put together."""
        stream = yield from self._open_stream(offer_tools)
        reply = _Reply()
        try:
            with stream:
                for chunk in stream:
                    if not chunk.choices:
                        continue
                    delta = chunk.choices[0].delta
                    for piece in delta.tool_calls or []:
                        reply.add_call(piece)
                    if delta.content:
                        reply.text += delta.content
                        yield Text(delta.content)
        except BaseException:
            reply.calls.clear()  # a call without its result would not be a valid history
            raise
        finally:
            if reply.text or reply.calls:
                turn.append(reply.message())
        return reply

    def _open_stream(self, offer_tools: bool) -> Iterator[Forgot]:
        from openai import BadRequestError

        options: dict = {} if self.voice.temperature is None else {"temperature": self.voice.temperature}
        if self.voice.tools:
            options |= {"tools": self.voice.tools, "tool_choice": "auto" if offer_tools else "none"}
        while True:
            messages = [{"role": "system", "content": self.voice.system}, *(m for turn in self.turns for m in turn)]
            try:
                return self.client.chat.completions.create(model=self.model, messages=messages, stream=True, **options)
            except BadRequestError as error:
                if error.code != "context_length_exceeded":
                    raise
                if len(self.turns) == 1:
                    raise TooLongError("Your message is longer than the model's context: shorten it.") from None
                del self.turns[0]
                yield Forgot()


def _template_knows_tools(folder: Path) -> bool:
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        if (folder / name).is_file():
            return "tools" in (folder / name).read_text(encoding="utf-8")
    return False
