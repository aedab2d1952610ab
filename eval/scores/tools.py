"""Did the answer call the right tool with the right arguments?"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple


class ToolMatch(NamedTuple):
    """`tool`: the one call made names the right tool; `exact`: its arguments are the expected ones too."""

    tool: bool
    exact: bool


def tool_match(tool_calls: Sequence[dict], expected: dict, text: str | None = "") -> ToolMatch:
    """Compare OpenAI-shaped `tool_calls` with `expected` ({"name", "arguments"}). Higher is better; each True = 1.

    Formula: exactly one valid call (arguments parse as a JSON object, no `<tool_call>` left in `text`); right name;
    arguments equal to the expected ones, or to one of the list `expected["also"]`, as JSON values, strings after
    trimming outer white space only (case and inner spaces count).
    Source: AST match of the Berkeley Function Calling Leaderboard (Patil et al. 2025), with equality instead of types.
    Caveat: a call that means the same in words that are not listed is wrong.
    """
    if len(tool_calls) != 1 or _has_unparsed_call(text):
        return ToolMatch(False, False)
    function = tool_calls[0].get("function") or {}
    arguments = _parsed(function.get("arguments"))
    if arguments is None or function.get("name") != expected["name"]:
        return ToolMatch(False, False)
    accepted = (expected["arguments"], *expected.get("also", ()))
    return ToolMatch(True, any(_equal(arguments, right) for right in accepted))


def calls_nothing(tool_calls: Sequence[dict], text: str | None = "") -> bool:
    """Whether no tool was called, nor tried in text. Higher is better where no tool is due; True = 1. Source: ours.

    Caveat: a call in another notation than Hermes' `<tool_call>` is not seen.
    """
    return not tool_calls and not _has_unparsed_call(text)


def _has_unparsed_call(text: str | None) -> bool:
    return "<tool_call>" in (text or "")


def _parsed(arguments: Any) -> dict | None:
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _equal(a: Any, b: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if isinstance(a, str) and isinstance(b, str):
        return a.strip() == b.strip()
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and a == b
