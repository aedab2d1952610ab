"""`homegrown feedback export`."""

import json
import os
import tempfile
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.errors import UserError

if TYPE_CHECKING:
    from assistant.feedback_export import Choice

app = typer.Typer(help="What people thought of the answers, to learn from.", no_args_is_help=True)


class Kind(StrEnum):
    """What is exported."""

    PREFERENCE = "preference"
    KTO = "kto"
    SFT = "sft"
    ALL = "all"


@app.callback()
def feedback() -> None:
    """Keeps `export` a command of its own while it is the only one."""


@app.command()
def export(
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="A folder, or a .jsonl file for one kind.", show_default="feedback in the home"
        ),
    ] = None,
    kind: Annotated[
        Kind, typer.Option(help="Pairs (DPO, reward models), KTO rows, SFT rows, or all of them.")
    ] = Kind.ALL,
    only_consented: Annotated[
        bool, typer.Option("--only-consented", help="Only feedback whose author lets it be trained on.")
    ] = False,
    scrub: Annotated[
        bool,
        typer.Option("--scrub", help="Replace e-mail addresses, phone and account numbers, secrets by placeholders."),
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"], help="Only feedback given since (UTC)."
        ),
    ] = None,
) -> None:
    """Write feedback as JSON Lines in TRL's shapes, every row once.

    Pairs are liked against disliked answers to one question, and corrections against originals.
    """
    import asyncio

    from assistant.feedback_export import KINDS, Choice
    from serving.home import home

    output = output or home() / "feedback"
    kinds = list(KINDS) if kind == Kind.ALL else [kind.value]
    if output.suffix == ".jsonl" and len(kinds) > 1:
        raise UserError(f"{output} is one file: name a folder, or choose a --kind.")
    files = {one: output if output.suffix == ".jsonl" else output / f"{one}.jsonl" for one in kinds}
    since = since and (since if since.tzinfo else since.replace(tzinfo=UTC))
    for one, rows in asyncio.run(read_rows(kinds, Choice(only_consented, since, scrub))).items():
        write_rows(files[one], rows)
        print(f"{one}: {len(rows)} rows in {files[one]}")


async def read_rows(kinds: list[str], choice: "Choice") -> dict[str, list[dict]]:
    """The rows of these kinds in the database of this home."""
    from assistant.feedback_export import export_rows
    from serving.database import Database, database_url, migrate

    migrate(url := database_url())
    database = Database(url)
    try:
        return {kind: [row async for row in export_rows(database, kind, choice)] for kind in kinds}
    finally:
        await database.close()


def write_rows(file: Path, rows: list[dict]) -> None:
    """Write a file for its owner only, as a whole or not at all. Raises `UserError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        try:
            # What a tool read may hold half of a surrogate pair.
            with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:
                stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            os.replace(unfinished, file)
        except BaseException:
            os.unlink(unfinished)
            raise
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({(error.strerror or str(error)).lower()}): name another place with --output."
        ) from None
