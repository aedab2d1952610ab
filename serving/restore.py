"""Brings back what `serving.backup` saved: everything of it or nothing."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from serving.archive import ArchiveError, Manifest, read_archive
from serving.database import (
    check_schema,
    database_url,
    is_sqlite,
    locked_connection,
    schema_of,
    sqlite_file,
    upgrade,
)
from serving.home import home
from serving.table_rows import drop_tables, has_rows, load_rows

FOLDERS = ("documents", "images", "loras")
WORK = ".restoring-"
BUSY_S = 5.0


def restore(file: Path, *, force: bool = False) -> Manifest:
    """Put the backup in `file` into the home and the database in force, which are overwritten with `force` only.

    Everything is unpacked, verified and loaded beside what is there; then they change places. The server must not
    run. Raises `ArchiveError`, `DatabaseError`, `RowsError`, and then all is as it was.
    """
    url = database_url()
    try:
        home().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home(), prefix=WORK, ignore_cleanup_errors=True) as work:
            unpacked = Path(work) / "new"
            unpacked.mkdir()
            manifest = read_archive(file, unpacked)
            if manifest.schema_revision:
                check_schema(manifest.schema_revision, f"The backup {file}")
            exchange = _Exchange(_places(unpacked))
            if not force:
                _refuse_to_overwrite(exchange.places.values(), url)
            rows, revision = unpacked / "database", manifest.schema_revision
            if is_sqlite(url):
                _replace_file(exchange, sqlite_file(url), rows, revision)
            else:
                _replace_tables(exchange, url, rows, revision)
        for left_by_a_killed_one in home().glob(f"{WORK}*"):
            shutil.rmtree(left_by_a_killed_one, ignore_errors=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ArchiveError(f"The backup cannot be restored ({reason}); nothing was changed.") from None
    return manifest


class _Exchange:
    """New files and folders take the places of old ones, which lie beside the new until an error brings them back."""

    def __init__(self, places: dict[Path, Path]) -> None:
        self.places = places
        self._done: list[tuple[Path, Path]] = []

    def make(self) -> None:
        """Put the new ones into their places; where there is no new one, the old one goes only."""
        for new, place in self.places.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(place):
                self._move(place, new.with_name(f".old-{new.name}"))
            if new.exists():
                self._move(new, place)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        while kind and self._done:
            source, target = self._done.pop()
            os.rename(target, source)

    def _move(self, source: Path, target: Path) -> None:
        os.rename(source, target)
        self._done.append((source, target))


def _places(unpacked: Path) -> dict[Path, Path]:
    """Where the unpacked folders belong; models take the places of those with their names."""
    models = {model: home() / "models" / model.name for model in (unpacked / "models").glob("*")}
    return {unpacked / name: home() / name for name in FOLDERS} | models


def _refuse_to_overwrite(places: Iterable[Path], url: str) -> None:
    """Raise `ArchiveError` when files or rows would be lost."""
    for place in places:
        if place.exists() and any(place.iterdir()):
            raise ArchiveError(
                f"{place} is not empty: restore into another HOMEGROWN_HOME, or overwrite it with --force."
            )
    if is_sqlite(url) and not sqlite_file(url).exists():
        return
    with locked_connection(url) as connection:
        if has_rows(connection):
            raise ArchiveError(
                f"The database {connection.engine.url.render_as_string()} is not empty: "
                "restore into another one, or overwrite it with --force."
            )


def _replace_file(exchange: _Exchange, file: Path, rows: Path, revision: str | None) -> None:
    """Exchange everything, for SQLite: a new file takes the place of the old one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=WORK, ignore_cleanup_errors=True) as beside:
        new = Path(beside) / file.name
        with locked_connection(f"sqlite:///{new}") as connection:
            _fill(connection, rows, revision)
        _take_out_of_use(file)
        for suffix in ("", "-wal", "-shm"):
            exchange.places[new.with_name(new.name + suffix)] = file.with_name(file.name + suffix)
        with exchange:
            exchange.make()


def _replace_tables(exchange: _Exchange, url: str, rows: Path, revision: str | None) -> None:
    """Exchange everything, for PostgreSQL: its transaction ends when the files have changed places."""
    with exchange, locked_connection(url) as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_S:.0f}s'"))
        if inspect(connection).get_table_names() and schema_of(connection) is None:
            shown = connection.engine.url.render_as_string()
            raise ArchiveError(f"The database {shown} belongs to another program: restore into one of its own.")
        drop_tables(connection)
        _fill(connection, rows, revision)
        exchange.make()


def _fill(connection: Connection, rows: Path, revision: str | None) -> None:
    """Make the schema that the rows had, load them, and bring both forward."""
    if revision:
        upgrade(connection, revision)
        load_rows(connection, rows)
    upgrade(connection)


def _take_out_of_use(file: Path) -> None:
    """Gather a database in its one file. Raises `ArchiveError` when somebody else has it open."""
    if not file.exists():
        return
    connection = sqlite3.connect(file, timeout=BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError:
        raise ArchiveError(f"The database {file} is in use: stop the server first.") from None
    except sqlite3.DatabaseError:
        pass  # it is broken, and about to be replaced
    finally:
        connection.close()
