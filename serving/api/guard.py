"""What every request passes before any route sees it: its id, the size of its headers, whom it asks for, its key."""

import hashlib
import hmac
import ipaddress
import re
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.errors import ApiError
from serving.images import store

# Files are fetched by <img>, which sends no key: their URLs are signed instead.
OPEN_PATHS = re.compile(f"/health|{store.URL_PREFIX}{store.NAME.pattern}")
MAX_HEADER_BYTES = 32 * 1024


@dataclass(frozen=True)
class Access:
    """Who may ask. With `key_sha256` None no key is needed; with `hosts` None every host name will do."""

    key_sha256: bytes | None
    hosts: frozenset[str] | None

    @classmethod
    def of(cls, host: str, key: str | None, allowed_hosts: list[str]) -> "Access":
        """The rules for a server bound to `host`.

        A page of another site cannot read our answers, but by DNS rebinding it can make its own name point here;
        so a server on the loopback interface answers to this machine's names only.
        """
        digest = hashlib.sha256(key.encode()).digest() if key else None
        if not is_loopback(host) and not allowed_hosts:
            return cls(digest, None)
        own = {"localhost", "127.0.0.1", "::1", host.lower()}
        return cls(digest, frozenset(own | {name.lower() for name in allowed_hosts}))


def is_loopback(host: str) -> bool:
    """Whether binding to `host` keeps other machines out."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware. Everything but `OPEN_PATHS` is denied without the key when there is one."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with an error or hand on; every answer carries x-request-id."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        request_id = f"req_{uuid.uuid4().hex}"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        error = self._refusal(scope["path"], scope["headers"])
        await (error.response() if error else self.app)(scope, receive, send_with_id)

    def _refusal(self, path: str, headers: list[tuple[bytes, bytes]]) -> ApiError | None:
        if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return ApiError(431, f"The request's headers are larger than {MAX_HEADER_BYTES} bytes.")
        named = {name: value.decode("latin-1") for name, value in headers}
        for name, url in ((b"host", f"//{named.get(b'host', '')}"), (b"origin", named.get(b"origin"))):
            if url is not None and not self._knows_host(url):
                message = (
                    f"This server does not answer to the {name.decode()} {named.get(name, '')[:100]!r}: "
                    "list its name in HOMEGROWN_ALLOWED_HOSTS."
                )
                return ApiError(403, message, code="host_not_allowed")
        if not OPEN_PATHS.fullmatch(path) and not self._has_key(named.get(b"authorization", "")):
            return ApiError(
                401,
                "Incorrect or missing API key: send it as `Authorization: Bearer KEY`.",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _knows_host(self, url: str) -> bool:
        if self.access.hosts is None:
            return True
        try:
            return (urlsplit(url).hostname or "") in self.access.hosts
        except ValueError:
            return False

    def _has_key(self, authorization: str) -> bool:
        if self.access.key_sha256 is None:
            return True
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode()).digest()
        return scheme.lower() == "bearer" and hmac.compare_digest(digest, self.access.key_sha256)
