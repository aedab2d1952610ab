"""Our HTTP server: uvicorn in a thread of this process, on a port that is claimed before anything slow begins."""

import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from serving.api.guard import is_loopback
from serving.errors import UserError
from serving.settings import ServingSettings


class PortInUseError(UserError):
    """Somebody else listens where we want to."""

    exit_code = 5


def claim_port(settings: ServingSettings) -> socket.socket:
    """A socket bound to the configured address.

    Raises `UserError` when the address would expose an API without a key, `PortInUseError` when it is taken.
    """
    if not is_loopback(settings.host) and settings.api_key is None:
        raise UserError(
            f"Serving on {settings.host} would let anybody on the network in: "
            "set a key with HOMEGROWN_API_KEY, or leave out --host."
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


class HttpServer:
    """Serves an ASGI app on a claimed socket while the `with` block runs."""

    def __init__(self, app: ASGIApp, claimed: socket.socket) -> None:
        host, port = claimed.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._socket = claimed
        config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([claimed],), name="http server", daemon=True)

    def __enter__(self) -> "HttpServer":
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
