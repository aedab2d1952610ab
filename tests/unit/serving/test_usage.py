"""Usage in real databases of both kinds: counted in memory, written in batches."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from serving.access import INTERNAL, LOCAL, Identity
from serving.api.errors import ApiError
from serving.database import Database
from serving.keys import SCOPES, KeyStore
from serving.limits import KeyLimits, Limiter
from serving.usage import UsageLedger, UsageRow, usage_of
from tests.unit.serving.guarded_house import Answer, House, ask_running

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = KeyLimits(tokens_per_day=100)


def replica(database: Database) -> SimpleNamespace:
    """What one of several servers on a database has in memory."""
    limiter = Limiter(now=lambda: NOW)
    return SimpleNamespace(limiter=limiter, ledger=UsageLedger(database, limiter, lambda: NOW))


@pytest.fixture
def on_database(migrated_database: str) -> Callable[[Callable[[Database], Awaitable[Any]]], Any]:
    def run(work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            database = Database(migrated_database)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(inside())

    return run


async def known(database: Database, user: str) -> tuple[Identity, str]:
    """A user with a limited key, and the key's prefix."""
    key, _ = await KeyStore(database).create(user, user, limits=LIMITS)
    return Identity(key.user_id, user, key.id, key.scopes, key.limits), key.prefix


def test_answers_are_added_up_by_key_day_and_model(on_database: Callable) -> None:
    async def work(database: Database) -> None:
        (ada, ada_key), (bob, bob_key) = await known(database, "ada"), await known(database, "bob")
        ledger = replica(database).ledger
        ledger.count(ada, "words", 10, 5)
        ledger.count(bob, "words", 1, 1)
        await ledger.flush()
        ledger.count(ada, "words", 20, 5)
        ledger.count(ada, "images", pictures=2)
        ledger.count(LOCAL, "words", 3, 4)
        ledger.count(INTERNAL, "words", 1000, 1000)
        await ledger.flush()
        await ledger.flush()
        day = NOW.date()
        of_ada = [
            UsageRow(ada_key, "ada", day, "images", 1, 0, 0, 2),
            UsageRow(ada_key, "ada", day, "words", 2, 30, 10, 0),
        ]
        of_bob = [UsageRow(bob_key, "bob", day, "words", 1, 1, 1, 0)]
        of_local = [UsageRow("local", "local", day, "words", 1, 3, 4, 0)]
        assert await usage_of(database, ada.user_id) == of_ada
        assert await usage_of(database, bob.user_id) == of_bob
        assert await usage_of(database, "local") == of_local
        everybody = await usage_of(database, None)
        assert sorted(everybody, key=str) == sorted(of_ada + of_bob + of_local, key=str)

    on_database(work)


def test_a_key_knows_when_it_was_used(on_database: Callable) -> None:
    async def work(database: Database) -> None:
        ada, _ = await known(database, "ada")
        await known(database, "bob")
        ledger = replica(database).ledger
        ledger.touch(ada)
        ledger.touch(LOCAL)
        await ledger.flush()
        assert [key.last_used_at for key in await KeyStore(database).list()] == [NOW, None]

    on_database(work)


def test_the_day_holds_over_restarts_and_for_all_servers_together(on_database: Callable) -> None:
    async def work(database: Database) -> None:
        ada, _ = await known(database, "ada")
        first, second = replica(database), replica(database)
        async with first.ledger, second.ledger:
            first.ledger.count(ada, "words", 30, 30)
            await first.ledger.flush()
            second.ledger.count(ada, "words", 20, 20)
            second.limiter.admit(ada.account, LIMITS)  # does not know yet
            await second.ledger.flush()
            with pytest.raises(ApiError, match="tokens per day"):
                second.limiter.admit(ada.account, LIMITS)
        restarted = replica(database)
        async with restarted.ledger:
            assert restarted.limiter.spent_today(ada.account) == 100

    on_database(work)


def test_what_is_counted_while_a_batch_is_written_is_not_forgotten(on_database: Callable) -> None:
    async def work(database: Database) -> None:
        ada, _ = await known(database, "ada")
        server = replica(database)
        async with server.ledger:
            server.ledger.count(ada, "words", 40, 0)
            writing = asyncio.create_task(server.ledger.flush())
            while server.ledger._pending:
                await asyncio.sleep(0)
            server.ledger.count(ada, "words", 50, 0)
            await writing
            assert server.limiter.spent_today(ada.account) == 90
        assert [row.prompt_tokens for row in await usage_of(database, ada.user_id)] == [90]

    on_database(work)


def test_what_the_database_refuses_is_written_later(on_database: Callable) -> None:
    async def work(database: Database) -> None:
        ada, _ = await known(database, "ada")
        ledger = replica(database).ledger
        ledger.count(ada, "words", 10, 5)
        async with database.session() as session:
            await session.execute(text("ALTER TABLE usage RENAME TO gone"))
        await ledger.flush()
        ledger.count(ada, "words", 1, 1)
        async with database.session() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO usage"))
        await ledger.flush()
        assert [(row.requests, row.prompt_tokens) for row in await usage_of(database, ada.user_id)] == [(2, 11)]

    on_database(work)


def test_everybody_sees_their_own_usage_and_admins_everybodys(house: Callable[..., House]) -> None:
    server = house()
    ada = {"authorization": f"Bearer {server.make_key('ada', frozenset({'chat'}), KeyLimits(7))}"}
    boss = {"authorization": f"Bearer {server.make_key('boss', frozenset(SCOPES))}"}

    async def work(state: Any) -> list[Answer]:
        for headers, tokens in ((ada, 10), (boss, 20)):
            sent = headers["authorization"].removeprefix("Bearer ")
            admission = await state.access.admit({"x-api-key": sent}, "192.0.2.7")
            state.ledger.count(admission.identity, "words", tokens)
        asked = [("", ada), ("", boss), ("all=1", boss), ("all=1", ada)]
        return [await ask_running(state, "/api/usage", query=query, **headers) for query, headers in asked]

    own, bosses, everybody, refused = server.within(work)
    assert own.body["user"] == "ada"
    assert own.body["limits"]["requests_per_minute"] == 7
    assert [(row["user"], row["prompt_tokens"]) for row in own.body["usage"]] == [("ada", 10)]
    assert [row["prompt_tokens"] for row in bosses.body["usage"]] == [20]
    assert {row["user"] for row in everybody.body["usage"]} == {"ada", "boss"}
    assert refused.code == "insufficient_permissions"
