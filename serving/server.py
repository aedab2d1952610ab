"""Our HTTP server: uvicorn in a thread of this process, on a port that is claimed before anything slow begins."""

import socket
import threading
import time
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import is_loopback
from serving.database import Database
from serving.errors import UserError
from serving.keys import KeyStore, on_database
from serving.logs import log
from serving.settings import ServingSettings

# Answers that go on when the server is stopped are cancelled after this; who wants them finished waits before.
CUT_OFF_S = 1
# What lives as long as the app gets this long to end after them.
CLOSING_S = 10.0


class PortInUseError(UserError):
    """Somebody else listens where we want to."""

    exit_code = 5


def claim_port(settings: ServingSettings) -> socket.socket:
    """A socket bound to the configured address.

    Raises `UserError` when the address would expose an API without a key, `PortInUseError` when it is taken.
    """
    if not is_loopback(settings.host) and settings.api_key is None and not on_database(_has_key, settings):
        raise UserError(
            f"Serving on {settings.host} would let anybody on the network in: make a key with `homegrown keys create` "
            "or set one with HOMEGROWN_API_KEY, or leave out --host."
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    claimed = socket.socket(family)
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        claimed.bind((settings.host, settings.port))
        claimed.listen(256)
    except OSError as error:
        claimed.close()
        raise PortInUseError(
            f"The address {settings.host}:{settings.port} cannot be used ({(error.strerror or str(error)).lower()}): "
            "stop what runs there, or choose another with --port or --host."
        ) from None
    return claimed


async def _has_key(database: Database) -> bool:
    return await KeyStore(database).any_valid()


class HttpServer:
    """Serves an ASGI app on a claimed socket while the `with` block runs.

    What the app's lifespan raises when it begins is raised here.
    """

    def __init__(self, app: ASGIApp, claimed: socket.socket) -> None:
        host, port = claimed.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._socket = claimed
        self._app = app
        self._failure: Exception | None = None
        config = uvicorn.Config(
            self._serve,
            log_config=None,
            log_level="error",
            access_log=False,
            timeout_graceful_shutdown=CUT_OFF_S,
            lifespan="on",
            interface="asgi3",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="http server", daemon=True)

    def __enter__(self) -> "HttpServer":
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        if not self._server.started:
            raise self._failure or RuntimeError("the HTTP server ended before it began")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(CUT_OFF_S + CLOSING_S)
        self._socket.close()

    def _run(self) -> None:
        with suppress(SystemExit):  # uvicorn's way to say that it cannot start
            self._server.run([self._socket])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await self._app(scope, receive, send)

        async def send_without_traceback(message: Message) -> None:
            await send({"type": message["type"]})

        try:
            await self._app(scope, receive, send_without_traceback)
        except Exception as error:
            if self._server.started:
                log.exception("what lived as long as the server did not end well")
            self._failure = error
            raise
