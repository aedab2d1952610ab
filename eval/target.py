"""The model under test: any server that speaks OpenAI's completions, or draws pictures as OpenAI's does."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import aiohttp

from eval.completions import MALFORMED, error_message, read_answer, read_continuation
from eval.drawn import keep_picture
from eval.likelihood.endpoint import Endpoint
from eval.records import PICTURES
from eval.replies import Answer, Drawn, NoAnswer, Refused, Reply
from eval.requests import Compare, Continue, Draw, Generate, Request
from eval.streaming import read_stream
from eval.vectors import read_cosine
from serving.errors import UserError

T = TypeVar("T")

ATTEMPTS = 9
"""With the waits below more than half a minute: an engine that died is back by then."""
COSTLY_ATTEMPTS = 3
"""Of a request that the server itself fails at, or never answers: most likely it always will."""
PATIENCE = 64
"""So many requests get all their attempts; if none of these was answered, the others get one each."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=120.0)
DRAWING = "/images/generations"
DRAWING_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=1800.0)
"""Large models need minutes on a CPU, and nothing comes before a picture is finished."""
OPTIONAL = ("response_format", "output_format", "seed", "size")
"""Parameters of a picture that some servers do not know."""
OWN_TOOLS = "tools of its own"
"""So a server says of a model that runs tools itself, as our `assistant` does, why it refuses to be offered any."""
Receive = Callable[[aiohttp.ClientResponse, float], Awaitable[T]]
"""Reads a response whose request was sent at the given `perf_counter` time."""


@dataclass(frozen=True)
class _Failure:
    said: str
    attempts: int
    """How often such a request is sent at most."""
    gone: bool = False
    wait_s: float | None = None


class Target:
    """A model behind `base_url()`, which ends in /v1; it is a function because a restarted engine has another port.

    Use it as an async context manager. How many requests are under way at once is its user's business.
    """

    def __init__(
        self,
        base_url: Callable[[], str],
        model: str,
        *,
        api_key: str | None = None,
        pictures: Path = Path(PICTURES),
    ):
        """`pictures`: the folder that keeps what is drawn."""
        self.base_url, self.model, self._pictures = base_url, model, pictures
        self._api_key = api_key
        self._random = random.Random()
        self._answered = False
        self._gives_logprobs: bool | None = None
        self._has_own_tools = False
        self._unknown: set[str] = set()
        self._given_up = 0
        self._likelihoods = Endpoint(self)

    async def __aenter__(self) -> "Target":
        self._session = _session(self._api_key)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Reply:
        """The reply to one request; 429, 5xx and connection errors are tried again with growing, random waits.

        Raises `NoAnswer` when this request cannot be answered, `UserError` when no request can be: a wrong key or
        model, or an endpoint that is gone for longer than all the waits.
        """
        if isinstance(request, Draw):
            return await self._draw(request.body)
        if isinstance(request, Continue):
            body = {"prompt": request.text, "max_tokens": request.max_tokens, "temperature": 0}
            return await self.post("/completions", body, read_continuation)
        if isinstance(request, Compare):
            return await self.post("/embeddings", {"input": [request.first, request.second]}, read_cosine)
        if not isinstance(request, Generate):
            return await self._likelihoods.score(request)
        if not request.body.get("logprobs"):
            return await self._chat(request.body)
        if self._gives_logprobs is not False:
            try:
                answer = await self._chat(request.body)
                self._gives_logprobs = True
                return answer
            except Refused as refusal:
                if self._gives_logprobs or "logprobs" not in str(refusal):
                    raise
                # A server that refuses them from the first is asked without: figures that need them have no answers.
                self._gives_logprobs = False
        return await self._chat(_without(request.body, "logprobs", "top_logprobs"))

    async def _chat(self, body: dict) -> Answer:
        if not self._has_own_tools:
            try:
                return await self._complete(body)
            except Refused as refusal:
                if "tools" not in body or OWN_TOOLS not in str(refusal):
                    raise
                self._has_own_tools = True
        return await self._complete(_without(body, "tools"))

    async def _complete(self, body: dict) -> Answer:
        if body.get("stream"):
            return await self._post("/chat/completions", body, _receive_stream)
        return await self.post("/chat/completions", body, read_answer)

    async def _draw(self, body: dict) -> Drawn:
        """A parameter that the server refuses by name, and that it can do without, is not sent again."""
        while True:
            sent = {name: value for name, value in body.items() if name not in self._unknown}
            try:
                return await self.post(DRAWING, sent, partial(keep_picture, folder=self._pictures))
            except Refused as refusal:
                named = {name for name in OPTIONAL if name in sent and name in str(refusal)}
                if not named:
                    raise
                self._unknown |= named

    async def post(self, path: str, body: dict, read: Callable[[bytes, float], T]) -> T:
        """Send `body` with the model's name to `path` and return what `read(content, seconds)` makes of the response.

        Raises what `ask` raises.
        """

        async def receive(response: aiohttp.ClientResponse, started: float) -> T:
            content = await response.read()
            return read(content, time.perf_counter() - started)

        return await self._post(path, body, receive)

    async def _post(self, path: str, body: dict, receive: Receive) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            outcome = await self._send(path, {"model": self.model, **body}, receive)
            if not isinstance(outcome, _Failure):
                self._answered = True
                return outcome
            if attempt >= outcome.attempts or self._hopeless:
                break
            await asyncio.sleep(outcome.wait_s or self._wait_s(attempt))
        self._given_up += 1
        if outcome.gone:
            raise UserError(
                f"The endpoint is gone ({outcome.said}): start it, then the same command with --out resumes."
            )
        raise (Refused if outcome.attempts == 1 else NoAnswer)(outcome.said)

    @property
    def _hopeless(self) -> bool:
        """Whether the server is most likely broken, and not busy or just starting."""
        return not self._answered and self._given_up >= PATIENCE

    async def _send(self, path: str, body: dict, receive: Receive) -> T | _Failure:
        url, started = f"{self.base_url()}{path}", time.perf_counter()
        try:
            timeout = DRAWING_TIMEOUT if path == DRAWING else TIMEOUT
            async with self._session.post(url, json=body, timeout=timeout) as response:
                if response.ok:
                    return await receive(response, started)
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            said = f"no answer from {url}, {type(error).__name__}"
            attempts = COSTLY_ATTEMPTS if isinstance(error, TimeoutError) else ATTEMPTS
            return _Failure(said, attempts, gone=isinstance(error, aiohttp.ClientConnectorError))
        return self._failure(url, response, content)

    def _failure(self, url: str, response: aiohttp.ClientResponse, content: bytes) -> _Failure:
        status, said = response.status, f"HTTP {response.status}: {error_message(content)}"
        # Once something was answered, a proxy that forbids or does not find one request says nothing of the others.
        unknown = status in (403, 404) and url.endswith(("/chat/completions", DRAWING)) and not self._answered
        if status == 401 or unknown:
            raise UserError(f"The endpoint {url} refuses every request for {self.model!r} ({said}).")
        attempts = {500: COSTLY_ATTEMPTS, 429: ATTEMPTS}.get(status, ATTEMPTS if status > 500 else 1)
        return _Failure(said, attempts, wait_s=_retry_after_s(response.headers.get("Retry-After", "")))

    def _wait_s(self, attempt: int) -> float:
        return self._random.uniform(0.5, 1.0) * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))


async def _receive_stream(response: aiohttp.ClientResponse, started: float) -> Answer:
    return await read_stream(response.content.iter_any(), started)


def _without(body: dict, *names: str) -> dict:
    return {name: value for name, value in body.items() if name not in names}


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


async def _get(url: str, api_key: str | None) -> tuple[int, bytes]:
    async with _session(api_key) as session, session.get(url) as response:
        return response.status, await response.read()


def _model_ids(content: bytes) -> list[str]:
    try:
        return [str(model["id"]) for model in json.loads(content)["data"]]
    except MALFORMED:
        return []


def _session(api_key: str | None) -> aiohttp.ClientSession:
    # Measured at 64 in flight: 0.2 ms of CPU a request, httpx 3.6 ms because its pool looks at every connection.
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    connector = aiohttp.TCPConnector(limit=0)
    # No server is told what it or another one set: requests stay independent of each other.
    jar = aiohttp.DummyCookieJar()
    return aiohttp.ClientSession(headers=headers, timeout=TIMEOUT, connector=connector, cookie_jar=jar)


def _retry_after_s(header: str) -> float | None:
    return min(60.0, float(header)) if header.isdecimal() else None
