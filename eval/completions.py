"""What a server of OpenAI's completions sends, read into an answer or the sentence of an error."""

import json
import math
from collections.abc import Sequence
from typing import Any

from eval.replies import Answer, NoAnswer

MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)
"""What reading JSON of another shape than expected raises."""


def read_answer(content: bytes, latency_s: float) -> Answer:
    """The first choice of a chat completion. Raises `NoAnswer` for another shape or log-probabilities not finite."""
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"]
        prompt_tokens, completion_tokens = token_counts(body.get("usage") or {})
        logprobs = [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or []]
        text, tool_calls = message.get("content") or "", message.get("tool_calls") or []
        are_calls = isinstance(tool_calls, list) and all(isinstance(call["function"], dict) for call in tool_calls)
    except MALFORMED:
        raise NoAnswer("the answer is not a chat completion") from None
    if not isinstance(text, str) or not are_calls:
        raise NoAnswer("the answer is not a chat completion: its content is not text, or its tool calls are none")
    mean, lowest = logprob_mean_and_min(logprobs)
    return Answer(
        text=text,
        tool_calls=tool_calls,
        finish_reason=choice.get("finish_reason"),
        logprob_mean=mean,
        logprob_min=lowest,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency_s=round(latency_s, 4),
    )


def read_continuation(content: bytes, latency_s: float) -> Answer:
    """The first choice of a completion of plain text. Raises `NoAnswer` for another shape."""
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        text, counts = choice["text"], token_counts(body.get("usage") or {})
        finish_reason = choice.get("finish_reason")
    except MALFORMED:
        raise NoAnswer("the answer is not a completion") from None
    if not isinstance(text, str):
        raise NoAnswer("the answer is not a completion: it has no text")
    return Answer(text, [], finish_reason, None, None, *counts, round(latency_s, 4))


def token_counts(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    """Of prompt and answer, None where the server does not say. Raises one of `MALFORMED` for anything but numbers."""
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not all(count is None or isinstance(count, int) for count in (prompt, completion)):
        raise TypeError("not a number of tokens")
    return prompt, completion


def logprob_mean_and_min(logprobs: Sequence[float]) -> tuple[float | None, float | None]:
    """Both of the log-probabilities of an answer's tokens, None without any. Raises `NoAnswer` if one is not finite."""
    if not all(isinstance(p, int | float) and math.isfinite(p) for p in logprobs):
        raise NoAnswer("the answer has log-probabilities that are not finite numbers")
    return (sum(logprobs) / len(logprobs), min(logprobs)) if logprobs else (None, None)


def error_message(content: bytes) -> str:
    """What the server said, OpenAI's error shape or not, on one line of at most 300 characters."""
    try:
        said: Any = json.loads(content)
        error = said.get("error", said)
        said = error.get("message", error) if isinstance(error, dict) else error
    except MALFORMED:
        said = content.decode("utf-8", "replace")
    return " ".join(str(said).split())[:300].rstrip(". ").encode("utf-8", "replace").decode()
