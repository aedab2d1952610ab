"""The worker's HTTP endpoints, for the API on the same machine only."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.api.errors import ApiError
from serving.images.request import DrawRequest

if TYPE_CHECKING:
    from serving.images.worker import Worker


class JobStream(StreamingResponse):
    """The events of a job as JSON lines; the job is cancelled when the client goes."""

    def __init__(self, events: AsyncIterator[str], leave: Callable[[], None]) -> None:
        super().__init__(events, media_type="application/x-ndjson")
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


def build_worker_api(worker: "Worker") -> Starlette:
    """The app: health, info, draw."""

    async def health(request: Request) -> Response:
        if worker.painter is None:
            return JSONResponse({"reason": "the image model is being loaded"}, 503)
        return JSONResponse({"status": "ok"})

    async def info(request: Request) -> Response:
        painter = worker.painter
        if painter is None:
            return JSONResponse({"reason": "the image model is being loaded"}, 503)
        return JSONResponse(
            {
                "model": worker.name,
                "sha256": painter.sha256,
                "native_size": painter.native_size,
                "own": painter.own,
                "loras": worker.loras.names(),
                "steps": painter.steps,
                "pipeline": painter.kind,
            }
        )

    async def draw(request: Request) -> Response:
        events: asyncio.Queue[dict] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: dict) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        try:
            wish = DrawRequest.model_validate_json(await request.body())
            # Reading an upload takes a while; without one the hop to a thread would be the longer way.
            job = await asyncio.to_thread(worker.accept, wish, tell) if wish.image else worker.accept(wish, tell)
        except ValidationError as error:
            return _invalid(error).response()
        except ApiError as error:
            return error.response()
        return JobStream(_lines(events), lambda: worker.cancel(job))

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/info", info),
            Route("/draw", draw, methods=["POST"]),
        ]
    )


async def _lines(events: asyncio.Queue[dict]) -> AsyncIterator[str]:
    kind = None
    while kind not in ("done", "error"):
        event = await events.get()
        kind = event["type"]
        yield json.dumps(event) + "\n"


def _invalid(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    return ApiError(400, f"{param or 'The request'}: {first['msg']}.", param=param, code="invalid_value")
