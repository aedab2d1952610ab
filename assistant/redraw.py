"""An answer once more, with one of its pictures drawn anew."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.datastructures import State

from assistant.events import Finished, Step, Text, Told, ToolCall, ToolProgress, ToolStep
from assistant.tables import Message
from assistant.tools.desk import ToolError
from assistant.tools.generate_image import generate_image
from serving.api.errors import ApiError

CALL_ID = "again"


async def redraw(state: State, message: Message, place: int) -> AsyncIterator[Told]:
    """Tells `message` again, with another seed for the picture of its step `place`. Raises `ApiError` without one."""
    began = time.monotonic()
    for number, step in enumerate(message.steps):
        if number == place:
            async for told in _drawn(state, step):
                yield told
        else:
            yield ToolStep(f"kept_{number}", step)
    yield Text(message.content)
    yield Finished("stop", {}, None, time.monotonic() - began)


async def _drawn(state: State, step: Step) -> AsyncIterator[Told]:
    prompt = step["pictures"][0]["prompt"]
    yield ToolCall(CALL_ID, step["name"], json.dumps({"prompt": prompt}, ensure_ascii=False))
    progress: asyncio.Queue[str | None] = asyncio.Queue()
    drawing = asyncio.create_task(generate_image(prompt, state, progress.put_nowait))
    drawing.add_done_callback(lambda _: progress.put_nowait(None))
    try:
        while (text := await progress.get()) is not None:
            yield ToolProgress(CALL_ID, text)
        yield ToolStep(CALL_ID, step | {"pictures": [await drawing]})
    except ToolError as error:
        raise ApiError(503, f"There is no other picture: {error}.", code="not_drawn") from None
    finally:
        drawing.cancel()
