"""Who is asking: an identity for everyone who may come in, by key, by the page's login, or by being on this machine."""

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from starlette.requests import cookie_parser

from serving.database import utcnow
from serving.keyring import KeyRing
from serving.keys import SCOPES, ApiKey, fingerprint
from serving.limits import UNLIMITED, KeyLimits
from serving.sessions import COOKIE, Sessions

ALL = frozenset(SCOPES)


@dataclass(frozen=True)
class Identity:
    """Somebody who may come in. Whatever is stored belongs to a `user_id`; `key_id` is None without a key."""

    user_id: str
    user_name: str
    key_id: str | None
    scopes: frozenset[str]
    limits: KeyLimits = UNLIMITED

    @property
    def account(self) -> str:
        """Whose limits and usage these are: the key's, or the user's without one."""
        return self.key_id or self.user_id


LOCAL = Identity("local", "local", None, ALL)
"""Anybody on this machine, where no key was ever made."""
OWNER = Identity("owner", "owner", "owner", ALL)
"""Who has HOMEGROWN_API_KEY."""
INTERNAL = Identity("internal", "internal", None, ALL)
"""This process itself: the agent asks for the model."""


@dataclass(frozen=True)
class Admission:
    """Somebody who was let in. `ambient`: a browser brings along what let them in, whichever page makes it ask."""

    identity: Identity
    ambient: bool = False


def identity(request: Request) -> Identity:
    """Who is asking, as the guard found out. Not on open paths, where nobody was asked."""
    return request.scope["state"]["identity"]


def is_loopback(host: str) -> bool:
    """Whether `host` is an address that other machines cannot reach, or ask from."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Who may come in to one server.

    The server itself comes from loopback or one of `own_addresses`. With `open_on_loopback`, which is for a server
    bound to loopback, nobody needs a key until there is one.
    """

    def __init__(
        self,
        keyring: KeyRing,
        sessions: Sessions,
        *,
        internal_key: str,
        own_addresses: frozenset[str],
        own_key: str | None,
        open_on_loopback: bool,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        self._keyring, self._sessions, self._now = keyring, sessions, now
        self._internal, self._own_addresses = fingerprint(internal_key.encode()), own_addresses
        self._own = fingerprint(own_key.encode()) if own_key else None
        self._open = open_on_loopback and not own_key

    async def admit(self, headers: Mapping[str, str], peer: str) -> Admission | None:
        """Who sends these headers (bytes as latin-1) from the address `peer`; None: nobody who may come in.

        What the database raises is raised.
        """
        sent = _key_of(headers)
        if sent is not None:
            sha256 = fingerprint(sent)
            if hmac.compare_digest(sha256, self._internal) and (is_loopback(peer) or peer in self._own_addresses):
                return Admission(INTERNAL)
            if known := await self._holder(sha256):
                return Admission(known)
        elif known := await self._logged_in(headers.get("cookie", "")):
            return Admission(known, ambient=True)
        # Whatever key was sent, since clients cannot do without one. An address from elsewhere was forwarded by a
        # proxy, through which the world would come in.
        if self._open and is_loopback(peer) and not await self._keyring.any_held():
            return Admission(LOCAL, ambient=True)
        return None

    async def log_in(self, key: str) -> str | None:
        """A session's cookie for the holder of `key`; None when it opens nothing."""
        sha256 = fingerprint(key.encode())
        known = await self._holder(sha256)
        return self._sessions.issue(known.account, sha256) if known else None

    async def _holder(self, sha256: str) -> Identity | None:
        if self._own and hmac.compare_digest(sha256, self._own):
            return OWNER
        key = await self._keyring.by_sha256(sha256)
        if key and hmac.compare_digest(sha256, key.sha256) and key.opens(self._now()):
            return _identity_of(key)
        return None

    async def _logged_in(self, cookies: str) -> Identity | None:
        cookie = cookie_parser(cookies).get(COOKIE, "")
        key_id = self._sessions.key_id(cookie)
        if key_id is None:
            return None
        if key_id == OWNER.key_id:
            return OWNER if self._own and self._sessions.is_genuine(cookie, self._own) else None
        key = await self._keyring.by_id(key_id)
        if key and self._sessions.is_genuine(cookie, key.sha256) and key.opens(self._now()):
            return _identity_of(key)
        return None


def _identity_of(key: ApiKey) -> Identity:
    return Identity(key.user_id, key.user_name, key.id, key.scopes, key.limits)


def _key_of(headers: Mapping[str, str]) -> bytes | None:
    """The key that was sent, as OpenAI's clients do or as Anthropic's."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    sent = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")
    return None if sent is None else sent.encode("latin-1")
