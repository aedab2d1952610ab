"""GET and POST /login, POST /logout: a key is exchanged for a cookie that no script can read."""

import html
import ipaddress
import math
import time
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from serving.api.body import read_fields
from serving.api.guard import check_same_origin, database_unavailable
from serving.limits import Bucket, duration
from serving.sessions import COOKIE

LoginPage = Callable[[str], HTMLResponse]
"""Draws the form that posts `key` to /login, with a sentence on what went wrong or ""."""
WRONG_PER_MINUTE = 6
MAX_ADDRESSES = 4096
MAX_FORM_BYTES = 4096
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter()


class WrongKeys:
    """Slows down whoever tries keys: an address may be wrong a few times a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, Bucket] = {}

    def wait_s(self, peer: str) -> float:
        """How long the address must wait before it may try again."""
        left = self._left.get(_network(peer))
        return left.seconds_until(1) if left else 0.0

    def add(self, peer: str) -> None:
        """The address was wrong."""
        network = _network(peer)
        if network not in self._left and len(self._left) >= MAX_ADDRESSES:
            del self._left[next(iter(self._left))]
        self._left.setdefault(network, Bucket(WRONG_PER_MINUTE, self._clock)).take(1)


@router.get("/login")
async def login_form(request: Request) -> Response:
    """The page that asks for a key."""
    return request.app.state.login_page("")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Set the cookie and go to the page; 401 for a key that opens nothing, 429 for too many of them."""
    state, peer = request.app.state, request.client.host if request.client else ""
    check_same_origin(request.headers)
    fields = await read_fields(request, MAX_FORM_BYTES)
    if wait := state.wrong_keys.wait_s(peer):
        seconds = math.ceil(wait)
        page = state.login_page(f"Too many wrong keys: try again in {duration(seconds)}.")
        page.status_code, page.headers["Retry-After"] = 429, str(seconds)
        return page
    try:
        cookie = await state.access.log_in(fields.get("key", "").strip())
    except SQLAlchemyError:
        raise database_unavailable() from None
    if cookie is None:
        state.wrong_keys.add(peer)
        page = state.login_page("This key is wrong, has expired or was revoked.")
        page.status_code = 401
        return page
    answer = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(COOKIE, cookie, max_age=state.settings.login_s, secure=_is_secure(request), **_ATTRIBUTES)
    return answer


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Take the cookie back."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, secure=_is_secure(request), **_ATTRIBUTES)
    return answer


def plain_login_page(problem: str) -> HTMLResponse:
    """The form where no room above draws a better one."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><title>Log in</title><form method="post" action="/login">'
        '<label>API key <input name="key" type="password" autocomplete="current-password" required autofocus></label> '
        f'<button>Log in</button><p role="alert">{html.escape(problem)}</p></form>',
        headers=HEADERS,
    )


_ATTRIBUTES = {"path": "/", "httponly": True, "samesite": "strict"}


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _network(peer: str) -> str:
    """The address, of IPv6 the network that one household or machine has for itself."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    return peer if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
