"""What the tools of one answer may use, and what comes of a tool."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import State

from assistant.events import Picture, Source, Step

if TYPE_CHECKING:
    from assistant.documents.store import Documents


@dataclass(frozen=True)
class Desk:
    """`state` is the API's, where pictures come from; documents are searched for `user_id` and nobody else.

    `brief` asks for one short passage, `progress` takes sentences for the person who waits.
    """

    state: State
    documents: "Documents"
    user_id: str
    brief: bool
    progress: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Outcome:
    """What came of a tool: `said` to the model, `result` for the person."""

    said: str
    result: str
    pictures: list[Picture] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    failed: bool = False

    @classmethod
    def of(cls, text: str) -> "Outcome":
        """The same for both."""
        return cls(text, text)

    def step(self, name: str, arguments: str) -> Step:
        """As it is kept with the message."""
        return Step(
            name=name,
            arguments=arguments,
            result=self.result,
            said=self.said,
            pictures=self.pictures,
            sources=self.sources,
            failed=self.failed,
        )


class ToolError(Exception):
    """The tool did not work: `reason` is a clause for the model, `message` one for the person.

    A small model can only repeat what it has learnt to read, so reasons should be those of `failures` in
    training/corpus/almanac/wordings/requests.yaml.
    """

    def __init__(self, reason: str, message: str | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason

    def outcome(self) -> Outcome:
        """As the outcome of the call."""
        return Outcome(f"error: {self.reason}", f"error: {self}", failed=True)
