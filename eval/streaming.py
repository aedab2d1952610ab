"""A chat completion that comes in pieces (server-sent events), read into an answer that says when they came."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

from eval.completions import MALFORMED, error_message, logprob_mean_and_min, token_counts
from eval.replies import Answer, NoAnswer

DONE = b"[DONE]"


async def read_stream(chunks: AsyncIterator[bytes], started: float) -> Answer:
    """The answer in the events of `chunks`, whose request was sent at `started` on the clock of `perf_counter`.

    Raises `NoAnswer` for an error event, events of another shape, and a stream that ends before the answer does.
    """
    pieces = _Pieces()
    try:
        async for data in _events(chunks):
            if data == DONE:
                break
            seconds = time.perf_counter() - started
            event = json.loads(data)
            if event.get("error"):
                raise NoAnswer(f"the stream says: {error_message(data)}")
            pieces.add(event, seconds)
        return pieces.answer(time.perf_counter() - started)
    except MALFORMED:
        raise NoAnswer("the stream is not one of chat completion chunks") from None


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each event; comments and other fields are skipped. See html.spec.whatwg.org, server-sent events."""
    rest, data = b"", []
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []


class _Pieces:
    """What has come so far."""

    def __init__(self) -> None:
        self._text = ""
        self._calls: dict[int, dict] = {}
        self._logprobs: list[float] = []
        self._times_s: list[float] = []
        self._usage: dict[str, int] = {}
        self._finish_reason: str | None = None

    def add(self, event: dict[str, Any], seconds: float) -> None:
        self._usage = event.get("usage") or self._usage
        # The last event of a stream with usage has no choices.
        for choice in event["choices"][:1]:
            self._add_choice(choice, seconds)

    def _add_choice(self, choice: dict[str, Any], seconds: float) -> None:
        delta = choice.get("delta") or {}
        text, calls = delta.get("content") or "", delta.get("tool_calls") or []
        self._text += text
        for call in calls:
            self._add_call(call)
        self._logprobs += [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or []]
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        # The first event names the role alone: it comes before any token.
        if text or calls:
            self._times_s.append(round(seconds, 5))

    def _add_call(self, delta: dict[str, Any]) -> None:
        empty = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
        call = self._calls.setdefault(delta["index"], empty)
        call["id"] = delta.get("id") or call["id"]
        for part in ("name", "arguments"):
            call["function"][part] += (delta.get("function") or {}).get(part) or ""

    def answer(self, seconds: float) -> Answer:
        if self._finish_reason is None:
            raise NoAnswer("the stream ended before the answer did")
        mean, lowest = logprob_mean_and_min(self._logprobs)
        prompt_tokens, completion_tokens = token_counts(self._usage)
        return Answer(
            text=self._text,
            tool_calls=[call for _, call in sorted(self._calls.items())],
            finish_reason=self._finish_reason,
            logprob_mean=mean,
            logprob_min=lowest,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            latency_s=round(seconds, 5),
            token_times_s=self._times_s,
        )
