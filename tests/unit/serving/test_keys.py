"""Keys in real databases of both kinds, what a running server remembers of them, and the commands."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from serving.database import Database
from serving.engine import free_port
from serving.errors import UserError
from serving.key_commands import app
from serving.keyring import LIFE_S, KeyRing
from serving.keys import KeyStore, fingerprint
from serving.limits import KeyLimits
from serving.server import claim_port
from serving.settings import read_settings


@pytest.fixture
def stored(migrated_database: str) -> Callable[[Callable[[KeyStore], Awaitable[Any]]], Any]:
    """Runs a coroutine function with the keys of an empty database."""

    def run(work: Callable[[KeyStore], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            database = Database(migrated_database)
            try:
                return await work(KeyStore(database))
            finally:
                await database.close()

        return asyncio.run(inside())

    return run


def test_a_key_is_random_and_only_its_hash_is_kept(stored: Callable, migrated_database: str) -> None:
    async def work(store: KeyStore) -> tuple:
        made = [await store.create("ada", "laptop") for _ in range(2)]
        async with store._database.session() as session:
            rows = (await session.execute(text("SELECT * FROM keys"))).all()
            users = (await session.execute(text("SELECT name FROM users"))).scalars().all()
        return made, rows, users

    ((key, secret), (other, other_secret)), rows, users = stored(work)
    assert re.fullmatch(r"hg-[\w-]{43}", secret)
    assert secret != other_secret
    assert key.sha256 == fingerprint(secret.encode())
    assert secret.startswith(key.prefix)
    assert secret not in str(rows)
    assert key.user_id == other.user_id
    assert users.count("ada") == 1


def test_a_key_is_found_as_it_was_made(stored: Callable) -> None:
    limits = KeyLimits(1, 2, 3)

    async def work(store: KeyStore) -> None:
        key, secret = await store.create("ada", "laptop", frozenset({"chat"}), limits, timedelta(days=30))
        assert await store.by_sha256(fingerprint(secret.encode())) == key
        assert await store.by_id(key.id) == key
        assert await store.list() == [key]
        assert (key.scopes, key.limits, key.user_name) == ({"chat"}, limits, "ada")
        assert await store.by_sha256(fingerprint(b"other")) is None
        assert key.opens(datetime.now(UTC))
        assert key.opens(key.expires_at - timedelta(seconds=1))
        assert not key.opens(key.expires_at)

    stored(work)


@pytest.mark.parametrize("sql", ["' OR 1=1 --", "x'; DROP TABLE keys; --", '" OR ""="', "%", "\\"])
def test_sql_is_only_text(stored: Callable, sql: str) -> None:
    async def work(store: KeyStore) -> None:
        await store.create("ada", "laptop")
        assert await store.by_sha256(sql) is None
        assert await store.by_id(sql) is None
        with pytest.raises(UserError):
            await store.revoke(sql)
        key, _ = await store.create(sql, sql)
        assert [key.name for key in await store.list()] == ["laptop", key.name]
        assert (await store.revoke(key.name)).id == key.id

    stored(work)


def test_one_key_is_revoked_by_prefix_or_name(stored: Callable) -> None:
    async def work(store: KeyStore) -> None:
        first, _ = await store.create("ada", "laptop")
        second, _ = await store.create("bob", "laptop")
        with pytest.raises(UserError, match=f"2 keys.*{first.prefix}.*{second.prefix}"):
            await store.revoke("laptop")
        assert await store.revoke(first.prefix) == first
        assert not (await store.by_id(first.id)).opens(datetime.now(UTC))
        assert (await store.by_id(second.id)).opens(datetime.now(UTC))
        assert await store.any_held()
        assert (await store.revoke("laptop")).id == second.id
        assert not await store.any_held()
        with pytest.raises(UserError, match="No key"):
            await store.revoke("laptop")

    stored(work)


def test_an_expired_key_is_held_but_opens_nothing(stored: Callable) -> None:
    async def work(store: KeyStore) -> None:
        assert not await store.any_held()
        await store.create("ada", "old", life=timedelta(seconds=-1))
        assert await store.any_held()
        assert not await store.any_valid()
        await store.create("ada", "new")
        assert await store.any_valid()

    stored(work)


def test_a_server_remembers_for_a_second_and_asks_once_for_many(stored: Callable) -> None:
    now = 100.0
    asked = []

    class Counting(KeyStore):
        async def by_sha256(self, sha256: str) -> object:
            asked.append(sha256)
            return await super().by_sha256(sha256)

    async def work(store: KeyStore) -> None:
        nonlocal now
        key, _ = await store.create("ada", "laptop")
        ring = KeyRing(Counting(store._database), lambda: now)
        found = await asyncio.gather(*(ring.by_sha256(key.sha256) for _ in range(20)))
        assert found == [key] * 20
        assert len(asked) == 1
        await store.revoke("laptop")
        assert (await ring.by_sha256(key.sha256)).revoked_at is None
        now += LIFE_S
        assert (await ring.by_sha256(key.sha256)).revoked_at is not None
        assert len(asked) == 2

    stored(work)


def test_a_server_that_has_seen_a_key_does_not_open_when_it_is_revoked(stored: Callable) -> None:
    async def work(store: KeyStore) -> None:
        moments = iter(range(0, 1000, 10))
        ring = KeyRing(store, lambda: next(moments))
        assert not await ring.any_held()
        await store.create("ada", "laptop")
        assert await ring.any_held()
        await store.revoke("laptop")
        assert await ring.any_held()
        assert not await KeyRing(store).any_held()

    stored(work)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs `homegrown keys` in a home of its own."""
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    return lambda *words: CliRunner().invoke(app, words)


def test_the_commands_make_show_and_revoke_keys(keys: Callable[..., Result]) -> None:
    assert "no keys" in keys("list").stderr
    made = keys("create", "laptop", "--user", "ada", "--scopes", "chat, images", "--expires", "30d",
                "--requests-per-minute", "3", "--tokens-per-day", "1000")  # fmt: skip
    secret = made.stdout.strip()
    assert re.fullmatch(r"hg-[\w-]{43}", secret)
    expires = datetime.now(UTC) + timedelta(days=30)
    head, row = keys("list").stdout.splitlines()
    for told in (secret[:11], "laptop", "ada", "chat,images", "3 requests/min, 1000 tokens/day", f"{expires:%Y-%m-%d}"):
        assert told in row
        assert told not in head
    assert secret not in row
    assert "last one" in keys("revoke", "laptop").stderr
    assert "no keys" in keys("list").stderr


@pytest.mark.parametrize(
    "words", [["--expires", "30"], ["--expires", "0d"], ["--expires", "d"], ["--scopes", "chat,root"], ["--scopes", ""],
              ["--user", " "], ["--user", "a\nb"], ["x" * 101]],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_in_a_sentence(keys: Callable[..., Result], words: list[str]) -> None:
    refused = keys("create", *words)
    assert isinstance(refused.exception, UserError)
    assert refused.stdout == ""


def test_a_key_that_opens_lets_a_server_be_public(keys: Callable[..., Result]) -> None:
    settings = read_settings(host="0.0.0.0", port=1)
    with pytest.raises(UserError, match="keys create"):
        claim_port(settings)
    keys("create", "laptop")
    with claim_port(read_settings(host="0.0.0.0", port=free_port())) as claimed:
        assert claimed.getsockname()[0] == "0.0.0.0"
    keys("revoke", "laptop")
    with pytest.raises(UserError, match="keys create"):
        claim_port(settings)
