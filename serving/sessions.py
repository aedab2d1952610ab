"""The page's login: a signed cookie that names a key and lasts as long as that key, or until it expires."""

import hashlib
import hmac
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

COOKIE = "homegrown_session"
SECRET_BYTES = 32


class Sessions:
    """Makes and checks cookies. They are bound to the key's fingerprint: another key of the same id opens nothing."""

    def __init__(self, secret: bytes, life_s: int, clock: Callable[[], float] = time.time) -> None:
        self.life_s = life_s
        self._secret, self._clock = secret, clock

    def issue(self, key_id: str, sha256: str) -> str:
        """A cookie for whoever has just shown the key."""
        claim = f"{key_id}.{int(self._clock()) + self.life_s}"
        return f"{claim}.{self._signature(claim, sha256)}"

    def key_id(self, cookie: str) -> str | None:
        """The key that a cookie claims, None when it is malformed or has expired. It still has to be checked."""
        key_id, _, rest = cookie.partition(".")
        expires = rest.partition(".")[0]
        alive = expires.isascii() and expires.isdecimal() and len(expires) < 20 and self._clock() < int(expires)
        return key_id if alive else None

    def is_genuine(self, cookie: str, sha256: str) -> bool:
        """Whether we issued the cookie for the key of that fingerprint."""
        claim, _, signature = cookie.rpartition(".")
        return hmac.compare_digest(signature.encode(), self._signature(claim, sha256).encode())

    def _signature(self, claim: str, sha256: str) -> str:
        return hmac.new(self._secret, f"{claim}\n{sha256}".encode(), hashlib.sha256).hexdigest()


def session_secret(folder: Path) -> bytes:
    """The secret kept in `folder`, made there if there is none. Deleting the file ends every session."""
    path = folder / "session-secret"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.stat().st_size < SECRET_BYTES:
        descriptor, unfinished = tempfile.mkstemp(dir=folder, prefix="session-secret-")
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        os.replace(unfinished, path)
    return path.read_bytes()
