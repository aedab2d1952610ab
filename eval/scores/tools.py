"""Did the answer call the right tool with the right arguments, and does it make the best of what a tool returned?"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from eval.replies import Answer
from eval.scores.refusal import refuses
from eval.scores.score import Sample, score
from eval.scores.text import words
from eval.scores.values import states_value

# Matched against `words(answer)`: no punctuation, contractions written out, lower case.
_FAILURES = (
    r"\b(?:did|does|do|could|can|was|were|is|am|are|has|have|would) not\b",
    r"\b(?:nothing|none|nowhere|unable|impossible)\b",
    r"\bno (?:\w+ ){0,2}(?:result|match|document|file|note|entry|tool|engine|answer|mention|trace)\w*\b",
    r"\b(?:fail\w*|error\w*|problem|went wrong|broken?|unavailable|undefined|switched off|timed out)\b",
    r"\btoo (?:large|big|long|many|much|high|busy)\b",
    r"\b(?:unfortunately|sorry|afraid)\b",
    r"\b(?:(?:something|anything) else|unrelated|only|instead of|rather than)\b",
)
_FAILURE = re.compile("|".join(_FAILURES))
_ARTICLE, _PICTURE = r"(?:the|an?)\s+", r"(?:picture|image|drawing|illustration|sketch|painting) of\s+"
_OPENING = re.compile(rf"^\W*(?:(?:{_ARTICLE})?{_PICTURE}(?:{_ARTICLE})?|{_ARTICLE})")
_TIMES = re.compile(r"(?<=[\d )])[x×](?=[\d (])")


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


@score(
    formula="1 if exactly one call was made, of the right tool, with arguments equal but for case, blanks, articles, "
    "'picture of' at the beginning, x for * and marks at their ends, else 0",
    source="exact_call made lenient, as a paraphrase is no mistake of a model that was not taught our wording",
    caveat="other words for the same thing are wrong unless they are listed",
)
def same_call(sample: Sample, reply: Answer) -> bool:
    if not tool_match(reply.tool_calls, sample["tool"], reply.text).tool:
        return False
    made = _parsed(reply.tool_calls[0]["function"]["arguments"])
    return any(
        _loose(made) == _loose(right) for right in (sample["tool"]["arguments"], *sample["tool"].get("also", ()))
    )


@score(
    formula="1 if the answer makes no call and states one of the values that the tool returned, else 0",
    source="exact match with aliases as in TriviaQA (Joshi et al. 2017, arXiv:1705.03551), made strict",
    caveat="whether the rest of the answer is true to the result is not looked at",
)
def uses_result(sample: Sample, reply: Answer) -> bool:
    return calls_nothing(reply.tool_calls, reply.text) and states_value(reply.text, sample["answers"])


@score(
    formula="1 if no call is made again that has already been made, and another is made, the user is told, or the "
    "question is answered rightly all the same, else 0",
    source="ours; telling is one of the listed ways to say that something failed, is missing or is something else",
    caveat="a list of phrases: a failure told in other words is missed, and any negation in the answer counts",
)
def recovers(sample: Sample, reply: Answer) -> bool:
    if _repeats(sample, reply) or _has_unparsed_call(reply.text):
        return False
    answered = states_value(reply.text, sample.get("answers", ()))
    return answered or bool(reply.tool_calls) or tells_failure(reply.text)


@score(
    formula="1 if a call is made with the same tool and arguments as one before in the conversation, else 0",
    source="ours",
    caveat="a loop over two calls in turn is seen, one over calls that differ each time is not",
    better="low",
)
def repeats_call(sample: Sample, reply: Answer) -> bool:
    return _repeats(sample, reply)


def tells_failure(answer: str) -> bool:
    """Whether `answer` says that something did not work, was not found, or is not what was asked for."""
    return refuses(answer) or bool(_FAILURE.search(words(answer)))


def _repeats(sample: Sample, reply: Answer) -> bool:
    before = [call for message in sample["messages"] for call in message.get("tool_calls", ())]
    return any(_call(call) == _call(earlier) for call in reply.tool_calls for earlier in before)


def _call(call: dict) -> tuple[str, Any]:
    function = call.get("function") or {}
    return str(function.get("name")), _parsed(function.get("arguments"))


def _loose(arguments: dict) -> dict[str, str]:
    """Arguments as text without what people write in different ways."""
    return {name: _loose_text(str(value).casefold().strip()) for name, value in arguments.items()}


def _loose_text(text: str) -> str:
    opened = _OPENING.sub("", text)
    return re.sub(r"\s+", "", _TIMES.sub("*", opened)).strip(".,;:!?\"'")
