"""What the worker sends, as OpenAI's clients expect it: one answer, or server-sent events."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from fastapi.responses import Response
from pydantic_core import to_json

from serving.api.errors import ApiError
from serving.api.event_stream import EventStream
from serving.images.request import DrawRequest
from serving.images.store import ImageStore

Family = Literal["image_generation", "image_edit"]
# There is one quality and no transparency, whatever was asked for: this is what the pictures have.
QUALITY, BACKGROUND = "medium", "opaque"
# Nobody is billed here, and each kind of model would count differently; clients insist on the numbers.
USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


@dataclass(frozen=True)
class Files:
    """Pictures are handed out as files of `store`, at URLs that begin with `base_url`."""

    store: ImageStore
    base_url: str

    def url(self, picture: dict) -> str:
        """Where the picture is from now on. Blocks; raises `StoreError`."""
        name = self.store.save(base64.b64decode(picture["image"]), picture["format"])
        return self.base_url + self.store.url(name)


async def whole(events: AsyncIterator[dict], files: Files | None) -> Response:
    """The answer when everything is drawn; without `files` it holds the pictures themselves.

    Raises `ApiError` when the drawing fails, `StoreError` when a picture cannot be kept.
    """
    async with aclosing(events):
        *pictures, done = [event async for event in events if event["type"] in ("picture", "done")]
    content = await asyncio.to_thread(_answer, sorted(pictures, key=itemgetter("index")), done, files)
    return Response(content, media_type="application/json")


def _answer(pictures: list[dict], done: dict, files: Files | None) -> bytes:
    answer = {
        "created": int(time.time()),
        "model": done["model"],
        "data": [_datum(picture, files) for picture in pictures],
        **_drawn(pictures[0]),
        "usage": USAGE,
    }
    return to_json(answer)


def _datum(picture: dict, files: Files | None) -> dict:
    shown = {"url": files.url(picture)} if files else {"b64_json": picture["image"]}
    return {**shown, "revised_prompt": None, "seed": picture["seed"]}


def _drawn(picture: dict) -> dict:
    """What was really drawn."""
    size, native = (picture["width"], picture["height"]), tuple(picture["native_size"])
    return {
        "background": BACKGROUND,
        "output_format": picture["format"],
        "quality": QUALITY,
        "size": _by(size),
        "native_size": _by(native),
        "resampled": size != native,
    }


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def streamed(events: AsyncIterator[dict], wish: DrawRequest, family: Family) -> Response:
    """The same as server-sent events, and comments that tell how far it is; an error's event is the last."""

    async def frames() -> AsyncGenerator[bytes, None]:
        try:
            async with aclosing(events):
                async for event in events:
                    if event["type"] != "done":
                        yield await asyncio.to_thread(_frame, event, wish, family)
        except ApiError as error:
            yield error.event()

    return EventStream(frames())


def _frame(event: dict, wish: DrawRequest, family: Family) -> bytes:
    match event["type"]:
        case "queued":
            return f": {event['ahead']} ahead\n\n".encode()
        case "progress":
            return f": step {event['step']} of {event['steps']}\n\n".encode()
        case "partial":
            drawn = {
                "background": BACKGROUND,
                "output_format": wish.format,
                "quality": QUALITY,
                "size": _by((wish.width, wish.height)) if wish.width else "auto",
            }
            return _event(f"{family}.partial_image", event, drawn | {"partial_image_index": event["number"]})
        case "picture":
            return _event(f"{family}.completed", event, _drawn(event) | {"seed": event["seed"], "usage": USAGE})


def _event(kind: str, event: dict, more: dict) -> bytes:
    told = {"type": kind, "b64_json": event["image"], "created_at": int(time.time()), "index": event["index"]}
    return f"event: {kind}\ndata: ".encode() + to_json(told | more) + b"\n\n"
