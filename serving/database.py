"""The one database of all rooms, SQLite or PostgreSQL: rooms declare their tables on `Base` and work in sessions."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import DateTime, Dialect, Engine, MetaData, Text, TypeDecorator, create_engine, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from serving.errors import UserError
from serving.home import home
from serving.settings import ServingSettings, read_settings

BUSY_MS = 30_000
CONNECTIONS = 16
# How long a transaction waits for a connection.
PATIENCE_S = 60
MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as every Homegrown takes the same.
MIGRATION_LOCK = 0x686F6D65
DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class DatabaseError(UserError):
    """A database that cannot be used."""

    exit_code = 4


class Base(DeclarativeBase):
    """What every table is declared on. Constraints have names, so that a migration can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcTime(TypeDecorator[datetime]):
    """A moment: timezone-aware and UTC on the way in and out, also in SQLite, which keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Words(TypeDecorator[str]):
    """Text from people and models. NUL, which PostgreSQL refuses, and half of a surrogate pair become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        whole_pairs = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return whole_pairs.replace("\0", "\ufffd")


class Database:
    """The database at `url` (see `database_url`), which `migrate` has made; for one event loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_async_engine(
            url,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=PATIENCE_S,
            pool_pre_ping=not is_sqlite(url),
        )
        # SQLite lets in one writer and starves some of those who wait: here they stand in line, without a connection.
        self._writers = asyncio.Semaphore(1 if is_sqlite(url) else CONNECTIONS)
        prepare(self._engine.sync_engine)
        self._writing = async_sessionmaker(self._engine, expire_on_commit=False)
        reading = self._engine.execution_options(sqlite_begin="DEFERRED")
        self._reading = async_sessionmaker(reading, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A transaction that may write: commits at the end, rolls back on an error.

        SQLite lets in one at a time, so keep it short and wait for nothing else inside.
        """
        async with self._writers, self._writing.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads, and that no writer holds up."""
        async with self._reading.begin() as session:
            yield session

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def database_url(settings: ServingSettings | None = None) -> str:
    """The URL in force, with the driver that is used here. Raises `DatabaseError` for what cannot be used."""
    given = (settings or read_settings()).database_url
    if given is None:
        return URL.create(DRIVERS["sqlite"], database=str(home() / "homegrown.db")).render_as_string()
    try:
        url = make_url(given.get_secret_value())
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise DatabaseError(
            "HOMEGROWN_DATABASE_URL is no database URL: use one like postgresql://user:password@host/name "
            "or sqlite:////path/to/homegrown.db."
        ) from None
    if url.drivername not in DRIVERS or (is_sqlite(url) and url.database in (None, "", ":memory:")):
        raise DatabaseError(
            f"The database {url.render_as_string()} cannot be used here: "
            "HOMEGROWN_DATABASE_URL takes postgresql:// or sqlite:// with a file."
        )
    return url.set(drivername=DRIVERS[url.drivername]).render_as_string(hide_password=False)


def is_sqlite(url: URL | str) -> bool:
    """Whether `url` names a SQLite file, and no server."""
    return make_url(url).get_backend_name() == "sqlite"


def sqlite_file(url: URL | str) -> Path:
    """The file of the SQLite database at `url`."""
    return Path(make_url(url).database)


def prepare(engine: Engine) -> None:
    """Make the connections of `engine` behave as this program expects of SQLite; PostgreSQL needs nothing."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: object, _: object) -> None:
        # The driver's own BEGIN is deferred: a transaction that reads before it writes would fail beside another one.
        connection.isolation_level = None
        # SQLite's lower() knows ASCII only, and a search must find ÄRGER by ärger as in PostgreSQL.
        connection.create_function("lower", 1, lambda words: words and str(words).lower(), deterministic=True)
        cursor = connection.cursor()
        # NORMAL loses nothing when the process is killed; only a power cut may undo the last transactions.
        for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")


def migrate(url: str) -> None:
    """Bring the database at `url` to the newest schema, making it if need be.

    It happens as a whole or not at all, and in one process at a time. Raises `DatabaseError` when the database cannot
    be reached, or a newer program has made it.
    """
    with locked_connection(url) as connection:
        upgrade(connection)


@contextmanager
def locked_connection(url: str) -> Iterator[Connection]:
    """A transaction outside of any event loop in which nobody else migrates. Raises `DatabaseError`."""
    with _connection(url) as connection:
        if not is_sqlite(url):  # which lets in one writer anyway
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        yield connection


@contextmanager
def snapshot(url: str) -> Iterator[Connection]:
    """A transaction outside of any event loop that sees the database as it is now. Raises `DatabaseError`."""
    options = {"sqlite_begin": "DEFERRED"} if is_sqlite(url) else {"isolation_level": "REPEATABLE READ"}
    with _connection(url, **options) as connection:
        yield connection


def schema_of(connection: Connection) -> str | None:
    """The revision of the schema, None without any. Raises `DatabaseError` when this program does not know it."""
    from alembic.runtime.migration import MigrationContext

    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None:
        check_schema(revision, f"The database {connection.engine.url.render_as_string()}")
    return revision


def check_schema(revision: str, whose: str) -> None:
    """Raise `DatabaseError` unless the migrations know `revision`; `whose` begins the sentence."""
    from alembic.script import ScriptDirectory

    if revision not in {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        raise DatabaseError(
            f"{whose} was made by a newer Homegrown (its schema {revision} is unknown here): "
            "update Homegrown, or restore a backup of this version."
        )


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to `revision`. Raises `DatabaseError` when the database is newer than this program."""
    from alembic import command
    from alembic.config import Config

    schema_of(connection)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@contextmanager
def _connection(url: str, **options: str) -> Iterator[Connection]:
    parsed = make_url(url)
    if is_sqlite(parsed):
        _make_file(sqlite_file(parsed))
        parsed = parsed.set(drivername="sqlite")
    engine = create_engine(parsed)
    prepare(engine)
    try:
        with engine.execution_options(**options).begin() as connection:
            yield connection
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0].rstrip(".")
        raise DatabaseError(
            f"The database {parsed.render_as_string()} cannot be used ({reason}): "
            "check HOMEGROWN_DATABASE_URL, and that the database runs and may be written."
        ) from None
    finally:
        engine.dispose()


def _make_file(file: Path) -> None:
    """Make the file of a SQLite database for its owner's eyes alone; what SQLite puts beside it gets the same mode."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        raise DatabaseError(
            f"The database {file} cannot be made ({(error.strerror or str(error)).lower()}): "
            "point HOMEGROWN_HOME or HOMEGROWN_DATABASE_URL to a place that can be written."
        ) from None


def new_id() -> str:
    """32 hexadecimal digits that sort by time and cannot be guessed: a version 7 UUID (RFC 9562, method 3)."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return f"{milliseconds:012x}7{fraction:03x}{0x8000_0000_0000_0000 | secrets.randbits(62):016x}"


def utcnow() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)
