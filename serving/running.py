"""The servers of this home that run now: each says where it is, and the command line tells them what to do."""

import contextlib
import fcntl
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from serving.engine import EngineError
from serving.errors import UserError
from serving.home import home
from serving.settings import read_settings


class RefusedError(UserError):
    """A running server refuses what it was told, in its own words."""


@contextlib.contextmanager
def announced(url: str) -> Iterator[None]:
    """While the block runs, `running_servers` of this home lists `url`; however the process ends, not after it."""
    file = _folder() / str(urlsplit(url).port)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as announcement:
        fcntl.flock(announcement, fcntl.LOCK_EX)  # ends with this process, whatever kills it
        announcement.write(url)
        announcement.flush()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def running_servers() -> list[str]:
    """The URLs of the servers that run in this home."""
    return [url for file in sorted(_folder().glob("*")) if (url := _announced_in(file))]


def tell(url: str, what: str, body: dict) -> dict:
    """POST /api/`what` at the server, as long as it takes; its answer.

    Raises `RefusedError` with what it says against it, `EngineError` when it does not answer.
    """
    headers = {"Content-Type": "application/json", "X-Homegrown": "1"}
    key = read_settings().api_key
    if key:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    base = url.rstrip("/").removesuffix("/v1")
    request = urllib.request.Request(f"{base}/api/{what}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise RefusedError(_said(error, base)) from None
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise EngineError(f"The server at {base} does not answer ({reason}): start it, or stop it.") from None


def _said(error: urllib.error.HTTPError, base: str) -> str:
    if error.code == HTTPStatus.UNAUTHORIZED:
        return f"The server at {base} asks for a key: set HOMEGROWN_API_KEY to one with the scope admin."
    try:
        return json.load(error)["error"]["message"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"The server at {base} answers with status {error.code}: it is no Homegrown of this version."


def _folder() -> Path:
    return home() / "servers"


def _announced_in(file: Path) -> str | None:
    """The URL in it; None when the process that wrote it does not run any more."""
    with contextlib.suppress(FileNotFoundError), file.open() as announcement:
        try:
            fcntl.flock(announcement, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return announcement.read()
    return None
