"""Who used how much: counted in memory, written in batches, and told to the limiter."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from serving.access import INTERNAL, Identity
from serving.database import Database, utcnow
from serving.limits import Limiter
from serving.tables import Key, Usage, User

FLUSH_S = 2.0
COUNTED = ("requests", "prompt_tokens", "completion_tokens", "pictures")
TOKENS = Usage.prompt_tokens + Usage.completion_tokens

Pending = dict[tuple[str, date, str], Counter[str]]
"""By account, day and model."""

log = logging.getLogger("homegrown")


@dataclass(frozen=True)
class UsageRow:
    """What one key used of one model on one day (UTC); `key` is its prefix, or the user without a key."""

    key: str
    user: str
    day: date
    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    pictures: int


class UsageLedger:
    """The usage of every key. While it is open as an async context manager, what was counted is written every 2 s."""

    def __init__(self, database: Database, limiter: Limiter, now: Callable[[], datetime] = utcnow) -> None:
        self._database, self._limiter, self._now = database, limiter, now
        self._pending: Pending = {}
        self._touched: dict[str, datetime] = {}

    async def __aenter__(self) -> "UsageLedger":
        await self._tell_limiter(None)
        self._closing = asyncio.Event()
        self._writer = asyncio.create_task(self._keep_writing())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()  # cancelled in the middle of a transaction, it would lose what it writes
        await self._writer
        await self.flush()

    def touch(self, who: Identity) -> None:
        """Note that a key was used now."""
        if who.key_id:
            self._touched[who.key_id] = self._now()

    def count(
        self, who: Identity, model: str, prompt_tokens: int = 0, completion_tokens: int = 0, pictures: int = 0
    ) -> None:
        """Count one answer of `model` for `who`, and charge its limits."""
        if who is INTERNAL:  # whose answer it is part of is charged for the whole
            return
        self._limiter.spend(who.account, who.limits, prompt_tokens + completion_tokens)
        counted = self._pending.setdefault((who.account, self._now().date(), model), Counter())
        counted.update(dict(zip(COUNTED, (1, prompt_tokens, completion_tokens, pictures), strict=True)))

    async def flush(self) -> None:
        """Write what was counted. What the database does not take is kept for the next time."""
        pending, self._pending = self._pending, {}
        touched, self._touched = self._touched, {}
        try:
            async with self._database.session() as session:
                await _add(session, pending)
                await _touch(session, touched)
            await self._tell_limiter({account for account, _, _ in pending})
        except SQLAlchemyError:
            log.exception("usage_not_written")
            for row, counted in pending.items():
                self._pending.setdefault(row, Counter()).update(counted)
            self._touched = touched | self._touched

    async def _keep_writing(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_S)
            if self._pending or self._touched:
                await self.flush()

    async def _tell_limiter(self, accounts: Iterable[str] | None) -> None:
        """Today's tokens of these accounts, or of all, as other replicas of this server have counted them too."""
        today = self._now().date()
        query = select(Usage.key_id, func.sum(TOKENS)).where(Usage.day == today).group_by(Usage.key_id)
        if accounts is not None:
            query = query.where(Usage.key_id.in_(accounts))
        async with self._database.reading() as session:
            for account, tokens in await session.execute(query):
                self._limiter.set_spent(account, today, int(tokens) + self._unwritten(account, today))

    def _unwritten(self, account: str, day: date) -> int:
        rows = [counted for (key, when, _), counted in self._pending.items() if (key, when) == (account, day)]
        return sum(counted["prompt_tokens"] + counted["completion_tokens"] for counted in rows)


async def usage_of(database: Database, user_id: str | None) -> list[UsageRow]:
    """What the keys of a user have used, or everybody's for None; the newest day first."""
    query = (
        select(Usage, Key.prefix, User.name)
        .outerjoin(Key, Key.id == Usage.key_id)
        .outerjoin(User, User.id == func.coalesce(Key.user_id, Usage.key_id))
        .order_by(Usage.day.desc(), Usage.key_id, Usage.model)
    )
    if user_id is not None:
        query = query.where(User.id == user_id)
    async with database.reading() as session:
        return [
            UsageRow(
                key=prefix or row.key_id,
                user=user or row.key_id,
                day=row.day,
                model=row.model,
                **{name: getattr(row, name) for name in COUNTED},
            )
            for row, prefix, user in await session.execute(query)
        ]


async def _add(session: AsyncSession, pending: Pending) -> None:
    if not pending:
        return
    insert = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[session.get_bind().dialect.name]
    statement = insert(Usage.__table__)
    statement = statement.on_conflict_do_update(
        index_elements=["key_id", "day", "model"],
        set_={name: Usage.__table__.c[name] + statement.excluded[name] for name in COUNTED},
    )
    # In one order, so that two servers cannot wait for each other.
    rows = [
        {"key_id": key, "day": day, "model": model, **counted} for (key, day, model), counted in sorted(pending.items())
    ]
    await session.execute(statement, rows)


async def _touch(session: AsyncSession, touched: dict[str, datetime]) -> None:
    if touched:
        statement = update(Key.__table__).where(Key.id == bindparam("key")).values(last_used_at=bindparam("at"))
        await session.execute(statement, [{"key": key, "at": at} for key, at in sorted(touched.items())])
