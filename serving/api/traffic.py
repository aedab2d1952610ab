"""What surrounds every request: its id, its line in the log, its place in the counters, and its end at shutdown."""

import asyncio
import logging
import time
import uuid
from threading import Event

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import internal_error, shutting_down
from serving.api.stream import DONE
from serving.engine import Engine
from serving.logs import log
from serving.metrics import OTHER, Metrics

# Asked by those who watch us, every few seconds.
QUIET_PATHS = ("/health", "/ready", "/metrics")
# Answered to the end.
LAST_PATHS = ("/health", "/metrics")
# Where a stream's beginning is a model's first token.
TEXT_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
CONTENT_PATHS = ("/v1/", "/api/")
MAX_CONTENT_BYTES = 32 * 2**10
POLL_S = 0.05


class Traffic:
    """ASGI middleware, the outermost. Its methods may be called from other threads than the event loop's.

    `internal_key` opens the API for this process's own requests, which are still answered while we drain.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, internal_key: str, log_contents: bool = False) -> None:
        self.app = app
        self.draining = False
        self._exchanges: set[Exchange] = set()
        self._metrics, self._log_contents = metrics, log_contents
        self._internal = f"Bearer {internal_key}".encode()
        metrics.running(lambda: self.running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, and know how it went."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        exchange = Exchange(scope, receive, send, self._log_contents)
        self._exchanges.add(exchange)
        try:
            if self._refuses(scope):
                await shutting_down().response()(scope, receive, exchange.send)
            else:
                await self._answer(exchange)
        finally:
            self._exchanges.remove(exchange)
            self._note(exchange)

    @property
    def running(self) -> int:
        """Requests being answered."""
        return len(self._exchanges)

    def answering(self, engine: Engine) -> int:
        """Requests being answered by `engine`."""
        return sum(exchange.scope["state"].get("engine") is engine for exchange in list(self._exchanges))

    def drain(self, seconds: float, hurry: Event) -> None:
        """Let in nobody new and wait for those being answered, until `hurry` at the longest. Blocks."""
        self.draining = True
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline and not hurry.wait(POLL_S):
            pass

    def _refuses(self, scope: Scope) -> bool:
        # The assistant's running turns ask us for the rest of their answers.
        return (
            self.draining
            and scope["path"] not in LAST_PATHS
            and dict(scope["headers"]).get(b"authorization") != self._internal
        )

    async def _answer(self, exchange: "Exchange") -> None:
        try:
            await self.app(exchange.scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:  # only the server cancels a request, when its time is up
            await exchange.cut_off()
        except Exception:
            log.exception("defect", extra={"fields": exchange.fields()})
            if not exchange.status:
                await internal_error(exchange.request_id).response()(exchange.scope, exchange.receive, exchange.send)

    def _note(self, exchange: "Exchange") -> None:
        self._metrics.request(exchange.route, exchange.status, exchange.seconds())
        if exchange.first_s is not None and exchange.streams and exchange.path in TEXT_PATHS:
            self._metrics.first_token(exchange.first_s)
        quiet = exchange.path in QUIET_PATHS and exchange.status != 500
        log.log(logging.DEBUG if quiet else logging.INFO, "request", extra={"fields": exchange.fields()})


class Exchange:
    """One request and its answer, as they pass by. `status` is 0 and `first_s` None until the answer begins."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, keep_contents: bool) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.path = scope["path"]
        self.request_id = f"req_{uuid.uuid4().hex}"
        self.status, self.streams, self.first_s = 0, False, None
        self._ended = False
        self._began = time.perf_counter()
        self._state = scope.setdefault("state", {})
        self._state["request_id"] = self.request_id
        self._contents: dict[str, bytearray] = {}
        if keep_contents and self.path.startswith(CONTENT_PATHS):
            is_json = b"json" in dict(scope["headers"]).get(b"content-type", b"")
            self._contents = {name: bytearray() for name in (["asked"] if is_json else []) + ["answered"]}

    @property
    def route(self) -> str:
        """The pattern of the path, so that there are few."""
        route = self.scope.get("route")
        return route.path if route else OTHER

    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self._began

    async def receive(self) -> Message:
        """The next piece of the request."""
        message = await self._receive()
        if "asked" in self._contents and message["type"] == "http.request":
            self._keep("asked", message)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer."""
        if message["type"] == "http.response.start":
            headers = message["headers"]
            self.status = message["status"]
            self.streams = any(name == b"content-type" and b"event-stream" in value for name, value in headers)
            message["headers"] = [*headers, (b"x-request-id", self.request_id.encode())]
        elif self.first_s is None and message.get("body"):
            self.first_s = self.seconds()
        if message["type"] == "http.response.body":
            self._ended = not message.get("more_body", False)
            if "answered" in self._contents:
                self._keep("answered", message)
        await self._send(message)

    async def cut_off(self) -> None:
        """End the answer in its own terms, since the server stops."""
        if not self.status:
            return await shutting_down().response()(self.scope, self.receive, self.send)
        if self.streams and not self._ended:
            # The page's streams just end: it comes back, and finds the turn as it was saved.
            last = shutting_down().event() + DONE if self.path.startswith("/v1/") else b""
            await self.send({"type": "http.response.body", "body": last, "more_body": False})

    def fields(self) -> dict:
        """What the log tells: who asked what, how it went, and the contents only when they are kept."""
        state = self._state
        identity, usage = state.get("identity"), state.get("usage") or {}
        told = {
            "id": self.request_id,
            "method": self.scope["method"],
            "route": self.route,
            "status": self.status,
            "seconds": round(self.seconds(), 4),
            "first_s": None if self.first_s is None else round(self.first_s, 4),
            "user": identity and identity.user_id,
            "key": identity and identity.key_id,
            "model": state.get("model"),
            "prompt_tokens": usage.get("prompt_tokens"),
            "generated_tokens": usage.get("completion_tokens"),
            "path": self.path[:200] if self.route == OTHER else None,
            **{name: bytes(kept).decode("utf-8", "replace") for name, kept in self._contents.items()},
        }
        return {name: value for name, value in told.items() if value is not None}

    def _keep(self, name: str, message: Message) -> None:
        kept = self._contents[name]
        kept += message.get("body", b"")[: MAX_CONTENT_BYTES - len(kept)]
