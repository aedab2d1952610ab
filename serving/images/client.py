"""Asks the worker for pictures, and stops it by hanging up."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
from pydantic_core import from_json

from serving.api.errors import RETRY_AFTER_S, ApiError, engine_unavailable, unknown_model
from serving.engine import Engine
from serving.images.request import DrawRequest

POLL_S = 0.2
# What OpenAI's and vLLM-Omni's clients call the fields of a `DrawRequest`.
PUBLIC_NAMES = {
    "width": "size",
    "height": "size",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "loras": "lora",
    "format": "output_format",
    "compression": "output_compression",
}


class ImageClient:
    """The worker of `engine`, None when there is none. An async context manager, for the event loop that serves."""

    def __init__(self, engine: Engine | None) -> None:
        self.engine = engine
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "ImageClient":
        # A connection for each picture, so that hanging up is heard.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def require(self, model: str | None) -> None:
        """Raise `ApiError` 404 unless pictures are drawn here, by `model` if one is named; 503 unless they are now."""
        if self.engine is None:
            message = "This server draws no pictures: start it without HOMEGROWN_IMAGES=0, and with an image model."
            raise ApiError(404, message, code="images_not_served")
        if model not in (None, self.engine.model_name):
            raise unknown_model(model)
        state = self.engine.state
        if state.name == "failed":  # why tells of files, and is for whoever runs this server
            raise engine_unavailable("its engine does not run, and the server has told why")
        if state.name != "ready":
            raise engine_unavailable(state.reason)

    async def require_soon(self, within_s: float, tell: Callable[[str], None]) -> None:
        """The same for any model, after waiting so long for an engine that is being started; `tell` hears why."""
        deadline, told = time.monotonic() + within_s, None
        while self.engine and self.engine.state.name in ("starting", "restarting") and time.monotonic() < deadline:
            if self.engine.state.reason != told:
                told = self.engine.state.reason
                tell(told)
            await asyncio.sleep(POLL_S)
        self.require(None)

    async def draw(self, wish: DrawRequest) -> AsyncIterator[dict]:
        """The worker's events as they come, "done" the last; closing the iterator cancels the drawing.

        Raises `ApiError` with what the worker refuses, 503 when it dies, also between two events.
        """
        body = await asyncio.to_thread(lambda: wish.model_dump_json().encode())
        try:
            answer = await self._session.post(
                f"{self.engine.base_url}/draw", data=body, headers={"Content-Type": "application/json"}
            )
            if answer.status == 200:
                return _events(answer)
            async with answer:
                raise _refusal(answer, await answer.read())
        except aiohttp.ClientError:
            raise engine_unavailable("its worker stopped answering") from None


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict]:
    async with answer:
        try:
            async for line in _lines(answer.content.iter_any()):
                event = from_json(line)  # for a picture of 10 MB it needs 3 ms, a tenth of json.loads
                if event["type"] == "error":
                    raise ApiError(event["status"], event["message"], code=event["code"])
                yield event
                if event["type"] == "done":
                    return
        except aiohttp.ClientError:
            pass
    raise engine_unavailable("its worker died while it was drawing")


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of any length; half a line at the end is dropped."""
    line = []
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join([*line, end])
            line = []
        line.append(rest)


def _refusal(answer: aiohttp.ClientResponse, body: bytes) -> ApiError:
    try:
        error = from_json(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ApiError(500, f"The worker answered with status {answer.status}.", code="engine_error")
    retry = {"Retry-After": answer.headers.get("Retry-After", RETRY_AFTER_S)} if answer.status in (429, 503) else {}
    param = PUBLIC_NAMES.get(error["param"], error["param"])
    return ApiError(answer.status, error["message"], param=param, code=error["code"], headers=retry)
