"""What the agent is asked for and what it tells while it answers: the seam between agent, turns, API and terminal."""

from dataclasses import dataclass, field
from typing import TypedDict


@dataclass(frozen=True)
class Wish:
    """One answer that is wanted of the agent.

    `messages` have OpenAI's shape (user, assistant, tool; no system) and end with what is to be answered. `model` is
    the one behind the agent (None: the served one), `persona` a file of prompts/personas (None: the model's own),
    `instructions` a caller's own system prompt. `sampling` are parameters of /v1/chat/completions.
    """

    user_id: str
    messages: list[dict]
    model: str | None = None
    persona: str | None = None
    instructions: str | None = None
    sampling: dict = field(default_factory=dict)
    tools: bool = True
    may_draw: bool = True
    """Whether whoever asks may have pictures drawn."""


class Picture(TypedDict):
    """A picture that was drawn: `file` is its name in the image store."""

    file: str
    prompt: str
    seed: int


class Source(TypedDict):
    """A passage of a document that was found."""

    document_id: str
    document: str
    place: str
    passage_id: str


class Step(TypedDict):
    """A tool that has run, as it is kept in messages: `result` is for people, `said` is what the model read."""

    name: str
    arguments: str
    result: str
    said: str
    pictures: list[Picture]
    sources: list[Source]
    failed: bool


@dataclass(frozen=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """A tool that the model called and that runs now; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ToolProgress:
    """How far the running tool is, as a person reads it."""

    id: str
    text: str


@dataclass(frozen=True)
class ToolStep:
    """The tool with this id has run."""

    id: str
    step: Step


@dataclass(frozen=True)
class Forgot:
    """The oldest turn no longer fits into the context and was dropped."""


@dataclass(frozen=True)
class Silence:
    """Nothing has happened for a while. Told only to who wants to know."""


@dataclass(frozen=True)
class Finished:
    """The answer is complete: `usage` is summed over all calls of the model, as OpenAI counts."""

    finish_reason: str
    usage: dict
    first_token_s: float | None
    seconds: float


Told = Text | ToolCall | ToolProgress | ToolStep | Forgot | Silence | Finished
"""What happens while an answer is made, in its order; `Finished` is the last."""
