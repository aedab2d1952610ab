"""Stops working for a client that has gone."""

import asyncio
from collections.abc import Coroutine

from fastapi import Request
from fastapi.responses import Response


async def while_connected(request: Request, work: Coroutine[None, None, Response]) -> Response:
    """What `work` returns; cancelled as soon as the client goes. The request's body must have been read."""
    asked = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({asked, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            return Response(status_code=499)  # nobody reads it
        return asked.result()
    finally:
        asked.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    # Nothing else can come after the body.
    while (await request.receive())["type"] != "http.disconnect":
        pass
