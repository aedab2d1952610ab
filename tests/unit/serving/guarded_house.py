"""A guarded server whose only route says who was let in, asked without a network; its database is a real one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request
from starlette.datastructures import State

from serving.access import identity
from serving.api import errors, people
from serving.database import Database, database_url
from serving.keys import SCOPES, KeyStore
from serving.limits import UNLIMITED, KeyLimits
from serving.settings import ServingSettings

INTERNAL_KEY = "internal-key"
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case, `body` is None unless it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        return self.body["error"]["code"]

    @property
    def cookie(self) -> str:
        """As a browser sends it back."""
        return self.headers["set-cookie"].partition(";")[0]


@dataclass(frozen=True)
class House:
    """A server with these settings: only its database and its files stay from one call to the next."""

    settings: ServingSettings

    def make_key(
        self,
        user: str = "ada",
        scopes: frozenset[str] = frozenset(SCOPES),
        limits: KeyLimits = UNLIMITED,
        life: timedelta | None = None,
    ) -> str:
        """A new key, which is named after its user."""
        return self.within(lambda state: KeyStore(state.database).create(user, user, scopes, limits, life))[1]

    def revoke(self, name: str) -> None:
        self.within(lambda state: KeyStore(state.database).revoke(name))

    def ask(self, path: str = "/v1/models", method: str = "GET", **request: Any) -> Answer:
        """The answer of a server that has just started; `request` is what `ask_running` takes."""
        return self.within(lambda state: ask_running(state, path, method, **request))

    def within(self, work: Callable[[State], Awaitable[Any]]) -> Any:
        """What `work` returns, given the state of a running server."""

        async def run() -> Any:
            app = FastAPI()
            app.state.settings = self.settings
            app.state.database = Database(database_url(self.settings))
            app.state.internal_key = INTERNAL_KEY
            errors.install(app)
            people.install(app, self.settings)
            app.add_api_route("/{path:path}", who_is_it, methods=METHODS)
            app.state.guard = people.guard(app, self.settings)
            try:
                return await work(app.state)
            finally:
                await app.state.ledger.flush()
                await app.state.database.close()

        return asyncio.run(run())


async def who_is_it(request: Request) -> dict:
    """Who was let in; nobody was asked on open paths."""
    who = identity(request) if "identity" in request.scope.get("state", {}) else None
    return {"user": who and who.user_name, "key": who and who.key_id}


async def ask_running(
    state: State,
    path: str = "/v1/models",
    method: str = "GET",
    *,
    query: str = "",
    body: bytes = b"",
    peer: str = "127.0.0.1",
    kind: str = "http",
    scheme: str = "http",
    **headers: str,
) -> Answer:
    """The answer to a request exactly as it is written here; header names have _ for -."""
    given = {"host": "localhost:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": (peer, 1),
        "scheme": scheme,
    }
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": body}

    await state.guard(scope, receive, send)
    if kind == "websocket":
        return Answer(sent[0]["code"], {}, None)
    answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in sent[1:])
    is_json = answered.get("content-type") == "application/json" and content
    return Answer(sent[0]["status"], answered, json.loads(content) if is_json else None)
