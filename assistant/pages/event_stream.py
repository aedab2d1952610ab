"""Server-sent events of an answer: what there is of it, what is added while it is written, and how it ended."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from assistant.pages.views import shown_step
from assistant.turn import Event, Turn
from serving.api.errors import ApiError
from serving.images.store import ImageStore

KEEP_ALIVE_S = 15.0
# Tokens that come within this time are sent together.
GATHER_S = 0.03
# How often an answer is read that somebody else writes, and saves once a second.
WATCH_S = 1.0

Kept = Callable[[], Awaitable[dict]]
"""Reads the message as the page sees it. Raises `ApiError` when it is gone."""


async def stream(turn: Turn | None, kept: Kept, store: ImageStore) -> AsyncGenerator[bytes, None]:
    """Events of the answer that `turn` writes, or that nobody here writes; the last has the message as it is `kept`."""
    try:
        async with aclosing(_follow(turn, kept, store) if turn else _watch(kept)) as frames:
            async for frame in frames:
                yield frame
    except ApiError as error:  # it was deleted meanwhile
        yield _frame(Event("error", {"seq": 0, **error.body()}))


async def _follow(turn: Turn, kept: Kept, store: ImageStore) -> AsyncGenerator[bytes, None]:
    async with turn.followed() as follower:
        while not turn.over:
            if await follower.has_news(KEEP_ALIVE_S):
                yield await _frames(follower.unread(), store)
                await asyncio.sleep(GATHER_S)
            else:
                yield b": still here\n\n"
        yield await _frames(follower.unread(), store)
    yield _last(turn.seq, await kept(), turn.error)


async def _watch(kept: Kept) -> AsyncGenerator[bytes, None]:
    """The answer is over, or another server on this database writes it."""
    while (message := await kept())["state"] == "running":
        yield _frame(_snapshot_of(message))
        await asyncio.sleep(WATCH_S)
    yield _frame(_snapshot_of(message))
    yield _last(0, message, ApiError(500, message["error"]) if message["state"] == "failed" else None)


def _snapshot_of(message: dict) -> Event:
    kept = {name: message[name] for name in ("state", "content", "html", "steps")}
    return Event("snapshot", {"seq": 0, **kept, "tools": [], "forgot": False})


def _last(seq: int, message: dict, error: ApiError | None) -> bytes:
    if error is None:
        return _frame(Event("done", {"seq": seq, "message": message}))
    return _frame(Event("error", {"seq": seq, "message": message, **error.body()}))


async def _frames(events: list[Event], store: ImageStore) -> bytes:
    if any(event.name in ("step", "snapshot") for event in events):  # signing the URLs of pictures touches the disk
        events = await asyncio.to_thread(lambda: [_with_urls(event, store) for event in events])
    return b"".join(map(_frame, events))


def _with_urls(event: Event, store: ImageStore) -> Event:
    if event.name == "step":
        return Event("step", event.data | {"step": shown_step(event.data["step"], store)})
    if event.name == "snapshot":
        return Event("snapshot", event.data | {"steps": [shown_step(step, store) for step in event.data["steps"]]})
    return event


def _frame(event: Event) -> bytes:
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    # Half of a surrogate pair has no bytes, but an escape that JSON knows.
    return f"id: {event.data['seq']}\nevent: {event.name}\ndata: {data}\n\n".encode(errors="backslashreplace")
