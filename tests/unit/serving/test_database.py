"""The database as rooms use it, and its migrations: on SQLite and on PostgreSQL."""

import asyncio
import contextlib
import multiprocessing
import stat
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import IntegrityError

from assistant.tables import Conversation, Document, Message, Passage
from serving.database import (
    Base,
    Database,
    DatabaseError,
    database_url,
    locked_connection,
    migrate,
    new_id,
    upgrade,
    utcnow,
)
from serving.settings import read_settings
from serving.tables import Key, User

RELEASED = ["0001"]


def rows_of(url: str, statement: str) -> list[tuple]:
    with locked_connection(url) as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def test_the_migrations_make_exactly_the_tables_that_the_rooms_declare(migrated_database: str) -> None:
    def is_declared(thing: object, name: str, kind: str, reflected: bool, declared: object) -> bool:
        return not name.startswith("passage_index") and name not in ("lexemes", "ix_passages_lexemes")

    with locked_connection(migrated_database) as connection:
        options = {"include_object": is_declared, "compare_type": True}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    assert differences == []


@pytest.mark.parametrize("revision", RELEASED)
def test_every_released_schema_is_brought_forward_with_its_rows(empty_database: str, revision: str) -> None:
    with locked_connection(empty_database) as connection:
        upgrade(connection, revision)
        connection.execute(text("INSERT INTO users VALUES ('u', 'Ada', '2026-01-01 00:00:00.000000')"))
    migrate(empty_database)
    migrate(empty_database)
    assert rows_of(empty_database, "SELECT name FROM users ORDER BY name") == [("Ada",), ("local",), ("owner",)]


def test_a_newer_database_is_refused_and_left_as_it_is(migrated_database: str) -> None:
    with locked_connection(migrated_database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"newer Homegrown \(its schema 9999.*: update Homegrown"):
        migrate(migrated_database)
    assert rows_of(migrated_database, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_migration_that_fails_leaves_nothing(empty_database: str) -> None:
    with locked_connection(empty_database) as connection:
        connection.execute(text("CREATE TABLE documents (mine INTEGER)"))
    with pytest.raises(DatabaseError, match="documents"):
        migrate(empty_database)
    with locked_connection(empty_database) as connection:
        assert inspect(connection).get_table_names() == ["documents"]


def test_processes_that_migrate_at_once_wait_for_each_other(empty_database: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=migrate, args=(empty_database,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert rows_of(empty_database, "SELECT count(*) FROM users") == [(2,)]


def test_a_session_commits_at_its_end_or_rolls_back(migrated_database: str) -> None:
    async def main() -> list[str]:
        database = Database(migrated_database)
        async with database.session() as session:
            session.add(User(name="kept"))
        with contextlib.suppress(ZeroDivisionError):
            async with database.session() as session:
                session.add(User(name="lost"))
                await session.flush()
                1 / 0  # noqa: B018
        async with database.reading() as session:
            names = list(await session.scalars(select(User.name).order_by(User.name)))
        await database.close()
        return names

    assert asyncio.run(main()) == ["kept", "local", "owner"]


def test_many_sessions_at_once_read_and_then_write_without_losing_anything(migrated_database: str) -> None:
    async def main() -> int:
        database = Database(migrated_database)

        async def add() -> None:
            async with database.session() as session:
                await session.scalar(select(func.count()).select_from(User))
                session.add(User(name=new_id()))

        await asyncio.gather(*(add() for _ in range(100)))
        async with database.reading() as session:
            count = await session.scalar(select(func.count()).select_from(User))
        await database.close()
        return count

    assert asyncio.run(main()) == 102


def test_a_reader_is_not_held_up_by_a_writer(migrated_database: str) -> None:
    async def main() -> int:
        database = Database(migrated_database)
        async with database.session() as writer:
            writer.add(User(name="new"))
            await writer.flush()
            async with asyncio.timeout(10), database.reading() as reader:
                seen = await reader.scalar(select(func.count()).select_from(User))
        await database.close()
        return seen

    assert asyncio.run(main()) == 2


def test_times_come_back_aware_and_in_utc(migrated_database: str) -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    async def main() -> Key:
        database = Database(migrated_database)
        async with database.session() as session:
            session.add(Key(user_id="local", name="k", prefix="hg", sha256="0", scopes=["chat"], expires_at=at))
        async with database.reading() as session:
            key = (await session.scalars(select(Key).where(Key.expires_at <= at, Key.created_at <= utcnow()))).one()
        await database.close()
        return key

    key = asyncio.run(main())
    assert key.expires_at == at
    assert key.expires_at.tzinfo is UTC
    assert key.revoked_at is None


def test_what_no_database_can_hold_becomes_a_replacement_character(migrated_database: str) -> None:
    async def main() -> tuple[str, list[dict]]:
        database = Database(migrated_database)
        async with database.session() as session:
            session.add(conversation := Conversation(user_id="local", model="m"))
            await session.flush()
            strange = "a\0b\ud83dc\U0001f600"
            step = {"result": strange}
            session.add(Message(conversation_id=conversation.id, role="user", content=strange, steps=[step]))
        async with database.reading() as session:
            message = (await session.scalars(select(Message))).one()
        await database.close()
        return message.content, message.steps

    content, steps = asyncio.run(main())
    assert content == "a\ufffdb\ufffdc\U0001f600"
    assert steps == [{"result": "a\0b\ud83dc\U0001f600"}]


def test_foreign_keys_hold(migrated_database: str) -> None:
    async def main() -> None:
        database = Database(migrated_database)
        try:
            async with database.session() as session:
                session.add(Conversation(user_id="nobody", model="m"))
        finally:
            await database.close()

    with pytest.raises(IntegrityError):
        asyncio.run(main())


def test_full_text_follows_the_passages(migrated_database: str) -> None:
    find = (
        "SELECT p.place FROM passages p JOIN passage_index i ON i.rowid = p.number WHERE passage_index MATCH '{}'"
        if migrated_database.startswith("sqlite")
        else "SELECT place FROM passages WHERE lexemes @@ websearch_to_tsquery('english', '{}')"
    )

    async def main() -> None:
        database = Database(migrated_database)
        async with database.session() as session:
            session.add(
                document := Document(
                    user_id="local", name="n", media_type="text/plain", sha256="0", bytes=1, state="done"
                )
            )
            await session.flush()
            for place, words in (("one", "Two planets, 4711"), ("two", "A river")):
                session.add(Passage(document_id=document.id, position=0, place=place, text=words))
        assert rows_of(migrated_database, find.format("planet")) == [("one",)]
        assert rows_of(migrated_database, find.format("4711")) == [("one",)]
        async with database.session() as session:
            (await session.scalars(select(Passage).where(Passage.place == "two"))).one().text = "A planet"
            await session.delete((await session.scalars(select(Passage).where(Passage.place == "one"))).one())
        assert rows_of(migrated_database, find.format("planet")) == [("two",)]
        async with database.session() as session:
            await session.delete(await session.get(Document, document.id))
        assert rows_of(migrated_database, find.format("planet")) == []
        await database.close()

    asyncio.run(main())


def test_ids_sort_by_time_and_do_not_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(one) == 32 and int(one, 16) and one[12] == "7" and one[16] in "89ab" for one in ids)
    now = time.time_ns()
    for later_ns in (1_000, 1_000_000, 10**9, 10**12):
        monkeypatch.setattr(time, "time_ns", lambda: now)
        earlier = new_id()
        monkeypatch.setattr(time, "time_ns", lambda later_ns=later_ns: now + later_ns)
        assert earlier < new_id()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "100%.db"
    migrate(f"sqlite+aiosqlite:///{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (
            "postgres://ada:p%40ss@host/name?sslmode=require",
            "postgresql+psycopg://ada:p%40ss@host/name?sslmode=require",
        ),
        ("postgresql://host/name", "postgresql+psycopg://host/name"),
        ("sqlite:////tmp/a.db", "sqlite+aiosqlite:////tmp/a.db"),
    ],
)
@pytest.mark.parametrize("variable", ["HOMEGROWN_DATABASE_URL", "DATABASE_URL"])
def test_urls_get_the_driver_that_is_used_here(
    given: str, used: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, given)
    assert database_url() == used
    assert "p%40ss" not in repr(read_settings())


def test_without_a_url_it_lies_in_the_home(session_home: Path) -> None:
    assert database_url() == f"sqlite+aiosqlite:///{session_home}/homegrown.db"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/n",
        "sqlite://",
        "sqlite:///:memory:",
        "nonsense",
        "postgresql+asyncpg://u:secret@h/n",
        "postgresql://u:secret@h:x/n",
    ],
)
def test_other_urls_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(DatabaseError, match="HOMEGROWN_DATABASE_URL") as caught:
        database_url(read_settings(database_url=url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql+psycopg://u:secret@127.0.0.1:1/n", "sqlite+aiosqlite:////proc/nowhere/a.db", "sqlite+aiosqlite:////etc/passwd"],
)  # fmt: skip
def test_a_database_that_cannot_be_used_is_one_sentence(url: str) -> None:
    with pytest.raises(DatabaseError, match="HOMEGROWN_DATABASE_URL") as caught:
        migrate(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
