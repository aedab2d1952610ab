"""The model under test: any server that speaks OpenAI's completions."""

import asyncio
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from eval.replies import Answer, NoAnswer, Reply
from eval.requests import Generate, Request
from serving.errors import UserError

T = TypeVar("T")

ATTEMPTS = 9
"""With the waits below more than half a minute: an engine that died is back by then."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=120.0)


@dataclass(frozen=True)
class _Failure:
    said: str
    passes: bool
    """Whether the same request may succeed later."""
    gone: bool = False
    wait_s: float | None = None


class Target:
    """A model behind `base_url()`, which ends in /v1; it is a function because a restarted engine has another port.

    Use it as an async context manager; it opens at most `concurrency` connections.
    """

    def __init__(self, base_url: Callable[[], str], model: str, concurrency: int = 32, api_key: str | None = None):
        self.base_url, self.model = base_url, model
        self._concurrency, self._api_key = concurrency, api_key
        self._random = random.Random()

    async def __aenter__(self) -> "Target":
        self._session = _session(self._api_key, self._concurrency)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Reply:
        """The reply to one request; 429, 5xx and connection errors are tried again with growing, random waits.

        Raises `NoAnswer` when this request cannot be answered, `UserError` when no request can be: a wrong key or
        model, or an endpoint that is gone for longer than all the waits.
        """
        if isinstance(request, Generate):
            return await self.post("/chat/completions", request.body, read_answer)
        raise NoAnswer("likelihoods over an endpoint are not implemented")

    async def post(self, path: str, body: dict, read: Callable[[bytes, float], T]) -> T:
        """Send `body` with the model's name to `path` and return what `read(content, seconds)` makes of the response.

        Raises what `ask` raises.
        """
        for attempt in range(ATTEMPTS):
            outcome = await self._send(path, {"model": self.model, **body}, read)
            if not isinstance(outcome, _Failure):
                return outcome
            if not outcome.passes:
                break
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(outcome.wait_s or self._wait_s(attempt))
        if outcome.gone:
            raise UserError(
                f"The endpoint is gone ({outcome.said}): start it, then the same command with --out resumes."
            )
        raise NoAnswer(outcome.said)

    async def _send(self, path: str, body: dict, read: Callable[[bytes, float], T]) -> T | _Failure:
        url, started = f"{self.base_url()}{path}", time.perf_counter()
        try:
            async with self._session.post(url, json=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            said = f"no answer from {url}, {type(error).__name__}"
            return _Failure(said, passes=True, gone=isinstance(error, aiohttp.ClientConnectorError))
        if response.ok:
            return read(content, time.perf_counter() - started)
        said = f"HTTP {response.status}: {error_message(content)}"
        if response.status in (401, 403, 404):
            raise UserError(f"The endpoint {url} refuses every request for {self.model!r} ({said}).")
        passes = response.status == 429 or response.status >= 500
        return _Failure(said, passes, wait_s=_retry_after_s(response.headers.get("Retry-After", "")))

    def _wait_s(self, attempt: int) -> float:
        return self._random.uniform(0.5, 1.0) * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)


def served_model(base_url: str, wanted: str | None, api_key: str | None = None) -> str:
    """The id of the model to ask for: `wanted`, or the only one that `base_url`/models lists.

    Raises `UserError` when the endpoint cannot be reached, does not serve `wanted`, or serves several.
    """
    try:
        status, content = asyncio.run(_get(f"{base_url}/models", api_key))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UserError(
            f"The endpoint {base_url} cannot be reached ({error or type(error).__name__}): "
            "start it, or check --base-url (such as http://127.0.0.1:8000/v1)."
        ) from None
    listed = _model_ids(content) if status == 200 else []
    if wanted and (wanted in listed or not listed):
        return wanted
    if not wanted and len(listed) == 1:
        return listed[0]
    if not listed:
        raise UserError(
            f"The endpoint {base_url} lists no models (HTTP {status} for /models): "
            "check that --base-url ends in /v1, or name the model."
        )
    problem = f"does not serve {wanted!r}" if wanted else "serves several models"
    raise UserError(f"The endpoint {base_url} {problem}: name one of {', '.join(listed)}.")


def read_answer(content: bytes, latency_s: float) -> Answer:
    """The first choice of a chat completion. Raises `NoAnswer` for another shape or log-probabilities not finite."""
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message, usage = choice["message"], body.get("usage") or {}
        logprobs = [token["logprob"] for token in (choice.get("logprobs") or {}).get("content") or []]
        text, tool_calls = message.get("content") or "", message.get("tool_calls") or []
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise NoAnswer("the answer is not a chat completion") from None
    if not all(isinstance(p, int | float) and math.isfinite(p) for p in logprobs):
        raise NoAnswer("the answer has log-probabilities that are not finite numbers")
    return Answer(
        text=text,
        tool_calls=tool_calls,
        finish_reason=choice.get("finish_reason"),
        logprob_mean=sum(logprobs) / len(logprobs) if logprobs else None,
        logprob_min=min(logprobs, default=None),
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
        latency_s=round(latency_s, 4),
    )


def error_message(content: bytes) -> str:
    """What the server said, OpenAI's error shape or not, on one line of at most 300 characters."""
    try:
        said: Any = json.loads(content)
        error = said.get("error", said)
        said = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        said = content.decode("utf-8", "replace")
    return " ".join(str(said).split())[:300].rstrip(". ")


async def _get(url: str, api_key: str | None) -> tuple[int, bytes]:
    async with _session(api_key, 1) as session, session.get(url) as response:
        return response.status, await response.read()


def _model_ids(content: bytes) -> list[str]:
    try:
        return [model["id"] for model in json.loads(content)["data"]]
    except (ValueError, KeyError, TypeError):
        return []


def _session(api_key: str | None, connections: int) -> aiohttp.ClientSession:
    # Measured at 64 in flight: 0.2 ms of CPU a request, httpx 3.6 ms because its pool looks at every connection.
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    connector = aiohttp.TCPConnector(limit=connections)
    return aiohttp.ClientSession(headers=headers, timeout=TIMEOUT, connector=connector)


def _retry_after_s(header: str) -> float | None:
    return min(60.0, float(header)) if header.isdecimal() else None
