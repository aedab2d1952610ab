"""What the agent tells in OpenAI's terms: one answer, or server-sent events. Pictures arrive as Markdown."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi.responses import JSONResponse, Response
from pydantic_core import to_json

from assistant.events import Finished, Forgot, Step, Text, Told, ToolStep
from assistant.markdown_pictures import markdown_picture
from assistant.wire_steps import FIELD, HEADER, to_wire
from serving.api.charge import charge
from serving.api.errors import ApiError
from serving.api.event_stream import EventStream
from serving.api.models import ModelRequest
from serving.api.stream import DONE

# What keeps a connection alive.
COMMENT = b": still at it\n\n"


class ServedAnswer:
    """The answer to one request by the model called `name`."""

    def __init__(self, request: ModelRequest, name: str) -> None:
        self._request = request
        self._tells_steps = request.http.headers.get(HEADER) == "1"
        self._has_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
        self._is_begun = self._needs_break = False

    async def whole(self, events: AsyncIterator[Told]) -> Response:
        """The answer when it is complete. Raises `ApiError`."""
        text = ""
        async with aclosing(self._charged(events)) as charged:
            async for event in charged:
                text += await self._text(event)
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": event.finish_reason}
        return JSONResponse(self._head | {"object": "chat.completion", "choices": [choice], "usage": event.usage})

    async def streamed(self, events: AsyncIterator[Told]) -> Response:
        """The answer while it is made, once it has begun. Raises `ApiError` until then."""
        charged = self._charged(events)
        first = [await anext(charged)]
        while isinstance(first[-1], Forgot):  # it may turn out that the rest does not fit either
            first.append(await anext(charged))
        return EventStream(self._frames(first, charged))

    async def _charged(self, events: AsyncIterator[Told]) -> AsyncIterator[Told]:
        """The events; whoever asked is charged at their end, for an answer left early for about what it took."""
        usage, pictures = {"completion_tokens": 0}, 0
        try:
            async with aclosing(events):
                async for event in events:
                    match event:
                        case Text():
                            usage["completion_tokens"] += 1
                        case ToolStep(_, step):
                            pictures += len(step["pictures"])
                        case Finished():
                            usage = event.usage
                    yield event
        finally:
            charge(self._request.http, self._head["model"], usage, pictures)

    async def _frames(self, first: list[Told], following: AsyncIterator[Told]) -> AsyncGenerator[bytes, None]:
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            async with aclosing(following):
                for event in first:
                    yield await self._frame(event)
                async for event in following:
                    yield await self._frame(event)
        except ApiError as error:
            yield error.event()
        yield DONE

    async def _frame(self, event: Told) -> bytes:
        if isinstance(event, Finished):
            last = self._chunk({}, event.finish_reason)
            return last + self._event({"choices": [], "usage": event.usage}) if self._has_usage else last
        text = await self._text(event)
        frame = self._chunk({"content": text}) if text else b""
        if self._tells_steps and (told := to_wire(event)):
            if isinstance(event, ToolStep):
                told["step"]["pictures"] = await self._pictures(event.step)
            frame += self._chunk({}, **{FIELD: told})
        return frame or COMMENT

    async def _text(self, event: Told) -> str:
        """What the event adds to the text."""
        match event:
            case Text(text):
                return self._paragraph(text)
            case ToolStep(_, step):
                self._needs_break = True
                shown = [] if self._tells_steps else await self._pictures(step)
                text = "\n\n".join(markdown_picture(picture["prompt"], picture["url"]) for picture in shown)
                text = self._paragraph(text)
                self._needs_break = True
                return text
        return ""

    def _paragraph(self, text: str) -> str:
        """`text`, in a paragraph of its own when there was a tool between it and what was said before."""
        if text and self._needs_break and self._is_begun:
            text = "\n\n" + text.lstrip()
        if text:
            self._is_begun, self._needs_break = True, False
        return text

    async def _pictures(self, step: Step) -> list[dict]:
        """The step's pictures with their URLs."""
        base, store = str(self._request.http.base_url).rstrip("/"), self._request.http.app.state.image_store
        urls = [base + await asyncio.to_thread(store.url, picture["file"]) for picture in step["pictures"]]
        return [{**picture, "url": url} for picture, url in zip(step["pictures"], urls, strict=True)]

    def _chunk(self, delta: dict, finish_reason: str | None = None, **more: object) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._event({"choices": [choice], **more} | ({"usage": None} if self._has_usage else {}))

    def _event(self, content: dict) -> bytes:
        return b"data: " + to_json(self._head | {"object": "chat.completion.chunk"} | content) + b"\n\n"
