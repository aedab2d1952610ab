"""An app of a few routes behind `Traffic`, over real HTTP."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from serving.api import errors, health, metrics
from serving.api.traffic import Traffic
from serving.engine import EngineState
from serving.metrics import Metrics
from serving.server import HttpServer

INTERNAL_KEY = "the-key-of-this-very-process"


def build_app(base_url: str = "http://127.0.0.1:9/v1") -> FastAPI:
    """Routes that answer, break, echo or never end; the text engine is at `base_url`, by default nowhere."""
    app = FastAPI()
    app.state.engine = SimpleNamespace(base_url=base_url, state=EngineState("ready", "the engine is ready"))
    app.state.metrics = Metrics({"text": app.state.engine})
    errors.install(app)
    for family in (health, metrics):
        app.include_router(family.router)

    @app.get("/v1/things/{name}")
    async def thing(name: str) -> dict:
        return {"name": name}

    @app.post("/v1/echo")
    async def echo(request: Request) -> dict:
        request.state.identity = SimpleNamespace(user_id="u1", key_id="k1")
        request.state.model, request.state.usage = "words", {"prompt_tokens": 3, "completion_tokens": 5}
        return await request.json()

    @app.post("/login")
    async def login(request: Request) -> dict:
        return {"got": len(await request.body())}

    @app.get("/v1/broken")
    async def broken() -> dict:
        raise ValueError("a defect")

    async def words() -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        await asyncio.sleep(600)

    @app.get("/v1/completions")
    @app.get("/v1/endless")
    @app.get("/api/endless")
    async def endless() -> StreamingResponse:
        return StreamingResponse(words(), media_type="text/event-stream")

    @app.get("/v1/slow")
    async def slow() -> dict:
        await asyncio.sleep(600)

    async def breaks() -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        raise ValueError("a defect in the middle")

    @app.get("/v1/breaks")
    async def broken_stream() -> StreamingResponse:
        return StreamingResponse(breaks(), media_type="text/event-stream")

    @app.get("/v1/brief")
    async def brief() -> dict:
        await asyncio.sleep(1)
        return {"done": True}

    return app


@contextlib.contextmanager
def serve_traffic(app: FastAPI, shutdown_s: float = 0, log_contents: bool = False) -> Iterator[tuple[str, Traffic]]:
    """The app's URL while the block runs; afterwards it is drained and stopped."""
    traffic = Traffic(app, app.state.metrics, INTERNAL_KEY, log_contents)
    claimed = socket.create_server(("127.0.0.1", 0))
    with HttpServer(traffic, claimed) as server:
        yield server.url, traffic
        traffic.drain(shutdown_s, threading.Event())
