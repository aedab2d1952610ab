"""All rows of a database as JSON Lines, one file a table; what SQLite wrote PostgreSQL reads, and the other way round.

The tables are read from the database itself, so any released schema can be written and read.
"""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Date, DateTime, LargeBinary, MetaData, Table, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from serving.errors import UserError

NOT_COPIED = ("alembic_version", "passage_index")
BATCH = 500


class RowsError(UserError):
    """Rows that do not fit the tables."""


def dump_rows(connection: Connection, folder: Path) -> int:
    """Write `<table>.jsonl` into `folder` for each table; how many rows there were."""
    return sum(_dump(connection, table, folder / f"{table.name}.jsonl") for table in _tables(connection))


def load_rows(connection: Connection, folder: Path) -> None:
    """Replace all rows by those in `folder`, where the database has the schema that they were written from.

    Raises `RowsError`.
    """
    tables = _tables(connection)
    unknown = {file.stem for file in folder.glob("*")} - {table.name for table in tables}
    if unknown:
        raise RowsError(f"The backup has rows of unknown tables ({', '.join(sorted(unknown))[:200]}): it is damaged.")
    is_sqlite = connection.dialect.name == "sqlite"
    connection.execute(text("PRAGMA defer_foreign_keys = ON" if is_sqlite else "SET CONSTRAINTS ALL DEFERRED"))
    for table in reversed(tables):
        connection.execute(table.delete())
    for table in tables:
        file = folder / f"{table.name}.jsonl"
        if file.exists():
            _load(connection, table, file)
    _check_foreign_keys(connection)


def has_rows(connection: Connection) -> bool:
    """Whether there is anything but users, of whom every database has some."""
    tables = (table for table in _tables(connection) if table.name != "users")
    return any(connection.execute(select(*table.primary_key.columns).limit(1)).first() for table in tables)


def drop_tables(connection: Connection) -> None:
    """Leave an empty PostgreSQL database."""
    everything = MetaData()
    everything.reflect(connection)
    everything.drop_all(connection)


def _tables(connection: Connection) -> list[Table]:
    """Those that hold what cannot be made again, each after the ones that it points to."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: not name.startswith(NOT_COPIED))
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return metadata.sorted_tables


def _columns(table: Table) -> list[Column]:
    """Those that the database does not fill in itself."""
    return [column for column in table.columns if column.computed is None and column is not table.autoincrement_column]


def _dump(connection: Connection, table: Table, file: Path) -> int:
    columns = _columns(table)
    rows = select(*columns).order_by(*table.primary_key.columns)
    count = 0
    with file.open("w", encoding="utf-8") as stream:
        for row in connection.execute(rows, execution_options={"yield_per": BATCH}):
            values = {column.name: _encoded(value) for column, value in zip(columns, row, strict=True)}
            stream.write(json.dumps(values) + "\n")
            count += 1
    return count


def _load(connection: Connection, table: Table, file: Path) -> None:
    decoders = {column.name: _decoder(column) for column in _columns(table)}

    def rows() -> Iterator[dict]:
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                values = json.loads(line)
                yield {name: value if value is None else decoders[name](value) for name, value in values.items()}

    try:
        reading = rows()
        while batch := list(islice(reading, BATCH)):
            connection.execute(table.insert(), batch)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SQLAlchemyError) as error:
        raise RowsError(
            f"The rows of {table.name} in the backup do not fit its table ({type(error).__name__}): it is damaged."
        ) from None


def _check_foreign_keys(connection: Connection) -> None:
    try:
        if connection.dialect.name == "sqlite":
            whole = connection.execute(text("PRAGMA foreign_key_check")).first() is None
        else:
            whole = connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE")) is not None
    except IntegrityError:
        whole = False
    if not whole:
        raise RowsError("The rows in the backup point to rows that are not in it: it is damaged.")


def _encoded(value: Any) -> Any:
    match value:
        case datetime():  # SQLite keeps no zone, and all times are UTC
            return (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
    return value


def _decoder(column: Column) -> Callable[[Any], Any]:
    match column.type:
        case DateTime():
            return lambda value: datetime.fromisoformat(value).astimezone(UTC)
        case Date():
            return date.fromisoformat
        case LargeBinary():
            return lambda value: base64.b64decode(value, validate=True)
    return lambda value: value
