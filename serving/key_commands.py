"""`homegrown keys create`, `list` and `revoke`."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from serving.errors import UserError

if TYPE_CHECKING:
    from serving.database import Database
    from serving.keys import ApiKey
    from serving.usage import UsageRow

LIFE = re.compile(r"(?P<number>[1-9]\d{0,4})(?P<unit>[mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_NAME = 100
COLUMNS = ("KEY", "NAME", "USER", "OPENS", "LIMITS", "EXPIRES", "LAST USED", "REQUESTS", "TOKENS", "PICTURES")
Limit = Annotated[int | None, typer.Option(min=1, max=2**31 - 1, show_default="no limit")]

app = typer.Typer(help="API keys: who may come in, for what, and how much.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "key",
    user: Annotated[str, typer.Option(help="Whose it is: users never see each other's things.")] = "local",
    scopes: Annotated[str, typer.Option(help="What it opens.")] = "chat,images,admin",
    expires: Annotated[
        str | None, typer.Option(help="How long it works: 12h, 30d, 8w.", show_default="for ever")
    ] = None,
    requests_per_minute: Limit = None,
    tokens_per_minute: Limit = None,
    tokens_per_day: Limit = None,
) -> None:
    """Make a key and print it: it is shown this once.

    From the first key on, nobody comes in without one. The user `local` has what was said on this server without a
    key, the user `owner` what was said with HOMEGROWN_API_KEY.
    """
    from serving.keys import KeyStore, on_database
    from serving.limits import KeyLimits

    limits = KeyLimits(requests_per_minute, tokens_per_minute, tokens_per_day)
    wanted = (_checked("user", user), _checked("name", name), _scopes(scopes), limits, _life(expires))
    key, secret = on_database(lambda database: KeyStore(database).create(*wanted))
    about = f"{key.name} of {key.user_name}, for {_opens(key)}, expires: {_day(key.expires_at)}"
    typer.echo(f"Keep this key, it is not shown again ({about}):", err=True)
    typer.echo(secret)


@app.command(name="list")
def list_keys() -> None:
    """Show every key that is in use, and what it was used for."""
    from serving.keys import on_database

    keys, usage = on_database(_keys_and_usage)
    if not keys:
        typer.echo("There are no keys: `homegrown keys create` makes one.", err=True)
        return
    rows = [COLUMNS, *(_row(key, [row for row in usage if row.key == key.prefix]) for key in keys)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def revoke(key: Annotated[str, typer.Argument(help="Its prefix, as `keys list` shows it, or its name.")]) -> None:
    """Make a key and every login with it useless, within a second also in servers that run."""
    from serving.keys import KeyStore, on_database

    async def work(database: "Database") -> tuple["ApiKey", bool]:
        store = KeyStore(database)
        return await store.revoke(key), await store.any_held()

    revoked, others = on_database(work)
    typer.echo(f"Revoked {revoked.prefix} ({revoked.name} of {revoked.user_name}).")
    if not others:
        typer.echo("That was the last one: once restarted, a server lets in whoever is on its machine.", err=True)


async def _keys_and_usage(database: "Database") -> tuple[list["ApiKey"], list["UsageRow"]]:
    from serving.keys import KeyStore
    from serving.usage import usage_of

    keys = await KeyStore(database).list()
    return [key for key in keys if key.revoked_at is None], await usage_of(database, None)


def _row(key: "ApiKey", usage: list["UsageRow"]) -> tuple[str, ...]:
    requests = sum(row.requests for row in usage)
    tokens = sum(row.prompt_tokens + row.completion_tokens for row in usage)
    pictures = sum(row.pictures for row in usage)
    limits = (
        (key.limits.requests_per_minute, "requests/min"),
        (key.limits.tokens_per_minute, "tokens/min"),
        (key.limits.tokens_per_day, "tokens/day"),
    )
    return (
        key.prefix,
        key.name,
        key.user_name,
        _opens(key),
        ", ".join(f"{limit} {what}" for limit, what in limits if limit is not None) or "none",
        _day(key.expires_at) if key.opens(datetime.now(UTC)) else f"EXPIRED {_day(key.expires_at)}",
        _day(key.last_used_at),
        str(requests),
        str(tokens),
        str(pictures),
    )


def _opens(key: "ApiKey") -> str:
    return ",".join(sorted(key.scopes))


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def _checked(what: str, given: str) -> str:
    name = given.strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise UserError(f"The {what} {given[:40]!r} cannot be used: give 1 to {MAX_NAME} printable characters.")
    return name


def _scopes(given: str) -> frozenset[str]:
    from serving.keys import SCOPES

    scopes = frozenset(scope.strip() for scope in given.split(","))
    if not scopes <= set(SCOPES):
        raise UserError(f"--scopes {given} cannot be used: list some of {', '.join(SCOPES)} with commas between.")
    return scopes


def _life(given: str | None) -> timedelta | None:
    if given is None:
        return None
    if not (match := LIFE.fullmatch(given)):
        raise UserError(f"--expires {given} cannot be used: give a number with m, h, d or w, such as 30d.")
    return timedelta(**{UNITS[match["unit"]]: int(match["number"])})
