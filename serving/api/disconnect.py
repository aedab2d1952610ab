"""Stops working for a client that has gone."""

import asyncio
from collections.abc import Coroutine

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive


async def while_connected(request: Request, work: Coroutine[None, None, Response]) -> Response:
    """What `work` returns; cancelled as soon as the client goes. The request's body must have been read."""
    asked = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return Response(status_code=499)  # nobody reads it
        return asked.result()
    finally:
        asked.cancel()
        gone.cancel()


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone. The request's body must have been read."""
    # Nothing else can come after it.
    while (await receive())["type"] != "http.disconnect":
        pass
