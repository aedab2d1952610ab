"""Runs a tool that the model called and says what came of it, errors included: the model reads the answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.tools.calculate import CalculationError, calculate
from assistant.tools.generate_image import DrawingError, generate_image
from assistant.tools.now import now

if TYPE_CHECKING:
    from openai import OpenAI


@dataclass(frozen=True)
class Outcome:
    """What a tool returned: `said` to the model, `shown` to the person, and the picture if it drew one."""

    said: str
    shown: str
    picture: Path | None = None

    @classmethod
    def same(cls, text: str) -> "Outcome":
        """The same for both."""
        return cls(text, text)


def run_tool(name: str, arguments: str, client: "OpenAI") -> Outcome:
    """What came of calling the tool `name` with a JSON object of arguments; "error: ..." when nothing did.

    `client` is that of the conversation: pictures come from there.
    """
    tools: dict[str, Callable[[dict], Outcome]] = {
        "generate_image": lambda given: _generate_image(given, client),
        "calculate": _calculate,
        "now": lambda _: Outcome.same(now()),
        "search_documents": lambda _: Outcome.same("error: no documents are loaded"),
    }
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        return Outcome.same("error: the arguments are not valid JSON")
    if name not in tools:
        return Outcome.same(f"error: there is no tool called {name[:50]}")
    return tools[name](given if isinstance(given, dict) else {})


def _calculate(given: dict) -> Outcome:
    expression = given.get("expression")
    if not isinstance(expression, str):
        return Outcome.same("error: calculate needs an expression")
    try:
        return Outcome.same(calculate(expression))
    except CalculationError as error:
        return Outcome.same(f"error: {error}")


def _generate_image(given: dict, client: "OpenAI") -> Outcome:
    prompt = given.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        return Outcome.same("error: generate_image needs a prompt")
    try:
        picture = generate_image(prompt, client)
    except DrawingError as error:
        return Outcome(f"error: {error.reason}", f"error: {error}")
    return Outcome("done", _as_people_write(picture), picture)


def _as_people_write(path: Path) -> str:
    """From the working directory if it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
