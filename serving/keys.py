"""API keys in the database: made, listed, found and revoked. Only a key's SHA-256 is kept."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from serving.database import Database, database_url, migrate, utcnow
from serving.errors import UserError
from serving.limits import UNLIMITED, KeyLimits
from serving.settings import ServingSettings
from serving.tables import Key, User

Result = TypeVar("Result")
SCOPES = ("chat", "images", "admin")
SHOWN = 11
"""Characters of a key by which people tell keys apart; what is not shown has more than 200 random bits."""


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept. `scopes` is what it may be used for."""

    id: str
    user_id: str
    user_name: str
    name: str
    prefix: str
    sha256: str
    scopes: frozenset[str]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def opens(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def fingerprint(key: bytes) -> str:
    """The SHA-256 of a key, in hexadecimal. A key is random, so it needs no slow hash."""
    return hashlib.sha256(key).hexdigest()


class KeyStore:
    """The keys in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        user: str,
        name: str,
        scopes: frozenset[str] = frozenset(SCOPES),
        limits: KeyLimits = UNLIMITED,
        life: timedelta | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key for the user of that name, who is made if there is none. The key itself is never seen again."""
        secret = f"hg-{secrets.token_urlsafe(32)}"
        async with self._database.session() as session:
            owner = await _user(session, user)
            row = Key(
                user_id=owner.id,
                name=name,
                prefix=secret[:SHOWN],
                sha256=fingerprint(secret.encode()),
                scopes=sorted(scopes),
                requests_per_minute=limits.requests_per_minute,
                tokens_per_minute=limits.tokens_per_minute,
                tokens_per_day=limits.tokens_per_day,
                expires_at=life and utcnow() + life,
            )
            session.add(row)
            await session.flush()
            return _api_key((row, owner.name)), secret

    async def list(self) -> list[ApiKey]:
        """Every key, the revoked ones too, oldest first."""
        async with self._database.reading() as session:
            return [_api_key(row) for row in await session.execute(_KEYS.order_by(Key.created_at, Key.id))]

    async def revoke(self, which: str) -> ApiKey:
        """Revoke the one key with this prefix or name. Raises `UserError` when there is none, or more than one."""
        async with self._database.session() as session:
            wanted = Key.revoked_at.is_(None) & ((Key.prefix == which) | (Key.name == which))
            found = [_api_key(row) for row in await session.execute(_KEYS.where(wanted))]
            if len(found) != 1:
                raise UserError(_not_one(which, found))
            await session.execute(update(Key).where(Key.id == found[0].id).values(revoked_at=utcnow()))
            return found[0]

    async def by_sha256(self, sha256: str) -> ApiKey | None:
        """The key of that fingerprint, be it valid or not."""
        return await self._one(Key.sha256 == sha256)

    async def by_id(self, id: str) -> ApiKey | None:
        """The key of that id, be it valid or not."""
        return await self._one(Key.id == id)

    async def any_held(self) -> bool:
        """Whether there is a key that nobody has revoked. One that has expired does not open the door for everybody."""
        async with self._database.reading() as session:
            return await session.scalar(select(Key.id).where(Key.revoked_at.is_(None)).limit(1)) is not None

    async def any_valid(self) -> bool:
        """Whether there is a key with which somebody could come in."""
        now = utcnow()
        return any(key.opens(now) for key in await self.list())

    async def _one(self, condition: ColumnElement[bool]) -> ApiKey | None:
        async with self._database.reading() as session:
            row = (await session.execute(_KEYS.where(condition))).first()
            return row and _api_key(row)


def on_database(work: Callable[[Database], Awaitable[Result]], settings: ServingSettings | None = None) -> Result:
    """What `work` returns for the database in force, outside of any event loop. Raises `DatabaseError`."""
    url = database_url(settings)
    migrate(url)

    async def run() -> Result:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


_KEYS: Select[tuple[Key, str]] = select(Key, User.name).join(User, User.id == Key.user_id)


def _api_key(row: Row[tuple[Key, str]] | tuple[Key, str]) -> ApiKey:
    key, user_name = row
    return ApiKey(
        id=key.id,
        user_id=key.user_id,
        user_name=user_name,
        name=key.name,
        prefix=key.prefix,
        sha256=key.sha256,
        scopes=frozenset(key.scopes),
        limits=KeyLimits(key.requests_per_minute, key.tokens_per_minute, key.tokens_per_day),
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


async def _user(session: AsyncSession, name: str) -> User:
    user = await session.scalar(select(User).where(User.name == name))
    if user is None:
        user = User(name=name)
        session.add(user)
        await session.flush()
    return user


def _not_one(which: str, found: list[ApiKey]) -> str:
    if found:
        prefixes = ", ".join(key.prefix for key in found)
        return f"{len(found)} keys are called {which!r}: name one of {prefixes}."
    return f"No key that is in use has the prefix or the name {which!r}: `homegrown keys list` shows them."
