"""What every request passes before any route sees it: size of its headers, whom it asks for, who asks, and how much."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import INTERNAL, Access, Admission, Identity, is_loopback
from serving.api.errors import RETRY_AFTER_S, ApiError
from serving.images import store
from serving.limits import Limiter
from serving.usage import UsageLedger

# Files are fetched by <img>, which sends no key: their URLs are signed instead.
OPEN_PATHS = re.compile(rf"/health|/ready|/login|/static(/[\w-][\w.-]*)+|{store.URL_PREFIX}{store.NAME.pattern}", re.A)
# What makes an engine work, and so counts as a request of the key's.
METERED = re.compile(r"/v1/.*|/api/conversations/[^/]+/turns|/api/messages/[^/]+/(regenerate|draw-again)", re.DOTALL)
# Paths by the scope that a key needs for them, the first that fits; None: any key will do.
SCOPES = (
    ("/metrics", "admin"),
    ("/api/promotions", "admin"),
    ("/v1/images", "images"),
    ("/v1/models", None),
    ("/api/usage", None),
    ("", "chat"),
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_HEADER_BYTES = 32 * 1024


def known_hosts(host: str, allowed: list[str]) -> frozenset[str] | None:
    """The names that a server bound to `host` answers to; None: to any.

    A page of another site cannot read our answers, but by DNS rebinding it can make its own name point here;
    so a server on the loopback interface answers to this machine's names only.
    """
    if not is_loopback(host) and not allowed:
        return None
    return frozenset({"localhost", "127.0.0.1", "::1", host.lower()} | {name.lower() for name in allowed})


class Guard:
    """ASGI middleware. Everything but `OPEN_PATHS` is denied to whom `access` does not know."""

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] | None, access: Access, limiter: Limiter, ledger: UsageLedger
    ) -> None:
        self.app, self._hosts, self._access, self._limiter, self._ledger = app, hosts, access, limiter, ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with an error, or hand on with `identity` in the scope's state."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            added = await self._let_in(scope)
        except ApiError as error:
            return await error.response()(scope, receive, send)
        if not added:
            return await self.app(scope, receive, send)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self.app(scope, receive, send_with_limits)

    async def _let_in(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Headers to add to the answer. Raises `ApiError` for a request that may not pass."""
        path = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            raise ApiError(431, f"The request's headers are larger than {MAX_HEADER_BYTES} bytes.")
        self._check_host("host", f"//{headers.get('host', '')}")
        if "origin" in headers:
            self._check_host("origin", headers["origin"])
        if OPEN_PATHS.fullmatch(path):
            return []
        admission = await self._admission(scope, headers)
        who = admission.identity
        if admission.ambient and scope["method"] not in SAFE_METHODS:
            check_same_origin(headers)
            _check_own_page(path, headers)
        needed = next(needed for start, needed in SCOPES if path.startswith(start))
        if needed:
            require_scope(who, needed)
        scope.setdefault("state", {})["identity"] = who
        self._ledger.touch(who)
        if who is INTERNAL or scope["method"] != "POST" or not METERED.fullmatch(path):
            return []
        added = self._limiter.admit(who.account, who.limits)
        return [(name.encode(), value.encode()) for name, value in added.items()]

    async def _admission(self, scope: Scope, headers: Mapping[str, str]) -> Admission:
        peer = (scope.get("client") or ("",))[0]
        try:
            admission = await self._access.admit(headers, peer)
        except SQLAlchemyError:
            raise database_unavailable() from None
        if admission is None:
            raise _to_login(scope, headers) or unauthorized()
        return admission

    def _check_host(self, header: str, url: str) -> None:
        if self._hosts is not None and _split(url).hostname not in self._hosts:
            message = (
                f"This server does not answer to the {header} {url.removeprefix('//')[:100]!r}: "
                "list its name in HOMEGROWN_ALLOWED_HOSTS."
            )
            raise ApiError(403, message, code="host_not_allowed")


def require_scope(who: Identity, scope: str) -> None:
    """Raise `ApiError` 403 unless the key allows it."""
    if scope not in who.scopes:
        raise ApiError(403, f"This key lacks the scope `{scope}`.", code="insufficient_permissions")


def unauthorized() -> ApiError:
    """The answer to a key that is none, or no longer."""
    return ApiError(
        401,
        "Incorrect or missing API key: send one that is in use as `Authorization: Bearer KEY`.",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def database_unavailable() -> ApiError:
    """Without the database nobody knows whose key it is."""
    message = "Who you are cannot be checked now, since the database does not answer."
    return ApiError(503, message, code="database_unavailable", headers={"Retry-After": RETRY_AFTER_S})


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Raise `ApiError` 403 when a page of another origin asks: browsers say so with every change they ask for."""
    if "origin" in headers and _split(headers["origin"]).netloc.lower() != headers.get("host", "").lower():
        raise ApiError(403, "Pages of other sites may not do this.", code="cross_site_request")


def _check_own_page(path: str, headers: Mapping[str, str]) -> None:
    """Raise `ApiError` 403 unless the page's scripts ask: no form and no link can send this header."""
    if path.startswith("/api/") and headers.get("x-homegrown") != "1":
        message = "Send the header `X-Homegrown: 1`, or a key: so it is certain that no other site makes you ask."
        raise ApiError(403, message, code="cross_site_request")


def _to_login(scope: Scope, headers: Mapping[str, str]) -> ApiError | None:
    """A person who opens the page in a browser is shown where to log in."""
    if scope["path"] != "/" or scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return None
    return ApiError(303, "Log in first.", headers={"Location": "/login"})


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
