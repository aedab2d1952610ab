"""The handler of the engine's own model: hands requests to vLLM and its answers back, byte for byte where right."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator

import aiohttp
from fastapi.responses import Response

from serving.access import INTERNAL, identity
from serving.api.charge import charge
from serving.api.disconnect import while_connected
from serving.api.errors import ApiError, engine_unavailable, from_engine
from serving.api.event_stream import EventStream
from serving.api.models import ModelRequest
from serving.api.stream import DONE, UsageWatch, mend, usage_in, whole_frames
from serving.engine import Engine

CONTEXT_ERROR = re.compile(r"(?:maximum context length is|max_model_len=)\s*(\d+)")
# vLLM closes idle connections after 5 s; a connection must not be reused just then.
KEEP_ALIVE_S = 3.0
PROBE_S = 2.0
POLL_S = 0.1


class Upstream:
    """The text engine over HTTP. Use as an async context manager, inside the event loop that serves.

    A request that has begun stays with the engine that it began with, which `Traffic.answering` can tell.
    """

    def __init__(self, engine: Engine, key: str | None = None) -> None:
        self.engine = engine
        self._exchanged = False
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Upstream":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            headers=self._headers,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def __call__(self, request: ModelRequest) -> Response:
        """Answer a request. Raises `ApiError` with what the engine refuses; 503 when there is no engine."""
        await self._taken_over(request)
        self._require_ready()
        request.http.scope["state"]["engine"] = self.engine
        try:
            if request.body.get("stream"):
                return await self._ask(request)  # begins at once, and then sees a client that goes
            return await while_connected(request.http, self._ask(request))
        except aiohttp.ClientError:
            raise engine_unavailable("its engine stopped answering") from None

    def exchange(self, engine: Engine) -> None:
        """Have new requests answered by another engine."""
        self.engine, self._exchanged = engine, True

    async def health(self) -> None:
        """Raise `ApiError` 503 with the reason unless the engine answers."""
        self._require_ready()
        url = self.engine.base_url.removesuffix("/v1") + "/health"
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=PROBE_S)) as answer:
                if answer.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError):
            pass
        raise engine_unavailable("its engine does not answer")

    async def _taken_over(self, request: ModelRequest) -> None:
        """Wait for an engine that takes over where a turn of the assistant asks, which has begun; others may retry."""
        while self._exchanged and self.engine.state.name == "starting" and identity(request.http) is INTERNAL:
            await asyncio.sleep(POLL_S)

    def _require_ready(self) -> None:
        if self.engine.state.name != "ready":
            raise engine_unavailable(self.engine.state.reason)

    async def _ask(self, request: ModelRequest) -> Response:
        answer = await self._session.post(f"{_base_url(request)}/{request.endpoint}", data=_for_engine(request))
        if answer.status == 200 and answer.content_type == "text/event-stream":
            return EventStream(self._frames(answer, request))
        async with answer:
            content = await answer.read()
        if answer.status == 200:
            _charge(request, usage_in(content) or {})
            return Response(content, media_type="application/json")
        raise await self._error(request, from_engine(answer.status, content))

    async def _frames(self, answer: aiohttp.ClientResponse, request: ModelRequest) -> AsyncGenerator[bytes, None]:
        include_usage = _wants_usage(request)
        watch = UsageWatch(hides=not include_usage)
        # Leaving this generator early, as a client's disconnect does, closes the connection: vLLM stops generating.
        async with answer:
            try:
                async for frames in whole_frames(answer.content.iter_any()):
                    yield mend(watch.passing(frames), include_usage)
            except aiohttp.ClientError:
                yield engine_unavailable("its engine died while it was answering").event()
                yield DONE
            finally:
                _charge(request, watch.usage or _about(request, watch.chunks))

    async def _error(self, request: ModelRequest, error: ApiError) -> ApiError:
        """vLLM's refusal; when the context is exceeded, with the numbers that clients look for."""
        limit = CONTEXT_ERROR.search(error.message)
        if not limit:
            return error
        chat = request.endpoint == "chat/completions"
        prompt = "messages" if chat else "prompt"
        counted = await self._count_tokens(request, prompt)
        asked = request.body.get("max_completion_tokens") or request.body.get("max_tokens") or 0
        message = f"This model's maximum context length is {limit[1]} tokens. However, "
        if counted is None:
            message += f"your {prompt} exceeded it. Please reduce the length of the {prompt}."
        elif counted >= int(limit[1]) or not asked:
            message += f"your {prompt} resulted in {counted} tokens. Please reduce the length of the {prompt}."
        else:
            message += (
                f"you requested {counted + asked} tokens ({counted} in the {prompt}, {asked} in the completion). "
                f"Please reduce the length of the {prompt} or completion."
            )
        return ApiError(400, message, param=prompt, code="context_length_exceeded")

    async def _count_tokens(self, request: ModelRequest, prompt: str) -> int | None:
        """Tokens of the prompt; vLLM stops counting at its limit when it refuses, so it is asked again."""
        fields = {"model", prompt, "tools", "chat_template_kwargs", "add_special_tokens"}
        if isinstance(request.body[prompt], list) and prompt == "prompt":
            return None
        url = _base_url(request).removesuffix("/v1") + "/tokenize"
        async with self._session.post(url, json={k: v for k, v in request.body.items() if k in fields}) as answer:
            return (await answer.json())["count"] if answer.status == 200 else None


def _base_url(request: ModelRequest) -> str:
    """Where the engine is that the request began with; a restarted one is somewhere else."""
    return request.http.scope["state"]["engine"].base_url


def _for_engine(request: ModelRequest) -> bytes:
    """The request as the engine gets it: a stream tells its usage, and users do not share cached prompts.

    How fast a prompt is read would tell others that somebody has asked the same before.
    """
    added = {}
    if request.body.get("stream") and not _wants_usage(request):
        added["stream_options"] = {"include_usage": True}
    who = identity(request.http)
    if who.key_id:
        salt = f"{who.user_id}\n{request.body.get('cache_salt')}"
        added["cache_salt"] = hashlib.sha256(salt.encode()).hexdigest()
    if not added:
        return request.raw
    # Of a name that is given twice the last counts.
    return request.raw.rstrip()[:-1] + b"," + json.dumps(added).encode()[1:]


def _charge(request: ModelRequest, usage: dict) -> None:
    http, model = request.http, request.body["model"]
    http.app.state.metrics.tokens(model, usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))
    charge(http, model, usage)


def _wants_usage(request: ModelRequest) -> bool:
    return bool((request.body.get("stream_options") or {}).get("include_usage"))


def _about(request: ModelRequest, chunks: int) -> dict:
    """The usage of a stream that was left before its end: a token has some four letters."""
    return {"prompt_tokens": len(request.raw) // 4, "completion_tokens": chunks}
