"""The tool `generate_image`: a picture from this server's image engine, kept in its store."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import aclosing

from pydantic import ValidationError
from starlette.datastructures import State

from assistant.events import Picture
from assistant.tools.desk import ToolError
from serving.api.errors import ApiError
from serving.api.images.prompt_check import check_prompt
from serving.images.files import UnreadablePictureError, decode, open_picture
from serving.images.request import DrawRequest
from serving.images.store import StoreError

SIDE = 512
# A worker that is being started, or was killed, is ready within this; an answer may take longer.
PATIENCE_S = 60.0
# As they stand in the trained wordings; whatever else is refused "is not possible right now".
REASONS = {
    404: "no picture engine is running",
    429: "the queue is full",
    500: "the service is not available",
}


async def generate_image(
    prompt: str, state: State, progress: Callable[[str], None] = lambda text: None, seed: int | None = None
) -> Picture:
    """Have `prompt` drawn; the picture lies in `state.image_store`. Cancelling stops the drawing.

    Raises `ToolError`.
    """
    try:
        await check_prompt(state.prompt_check, prompt)
        await state.image_client.require_soon(PATIENCE_S, progress)
        wish = DrawRequest(prompt=prompt, width=SIDE, height=SIDE, seed=seed)
        drawn = await _drawn(state, wish, progress)
        name = await asyncio.to_thread(_kept, state, drawn)
    except ApiError as error:
        reason = REASONS.get(error.status, "this is not possible right now")
        raise ToolError(reason, _clause(error.message)) from None
    except ValidationError:
        raise ToolError("the request was too long") from None
    except UnreadablePictureError as error:
        raise ToolError("the file could not be read", f"the picture that came cannot be shown: {error}") from None
    except StoreError as error:
        raise ToolError("this is not possible right now", _clause(str(error))) from None
    return Picture(file=name, prompt=prompt, seed=drawn["seed"])


async def _drawn(state: State, wish: DrawRequest, progress: Callable[[str], None]) -> dict:
    """The worker's event with the picture."""
    picture: dict = {}
    async with aclosing(await state.image_client.draw(wish)) as events:
        async for event in events:
            match event["type"]:
                case "queued" if event["ahead"]:
                    progress(f"{event['ahead']} ahead in the queue")
                case "progress":
                    progress(f"step {event['step']} of {event['steps']}")
                case "picture":
                    picture = event
    return picture


def _kept(state: State, drawn: dict) -> str:
    data = base64.b64decode(drawn["image"])
    decode(open_picture(data))
    return state.image_store.save(data, drawn["format"])


def _clause(sentence: str) -> str:
    """ "The model cannot answer now: it is learning." as "it is learning"."""
    clause = sentence.removeprefix("The model cannot answer now: ").rstrip(".")
    return clause[:1].lower() + clause[1:]
