"""Finished pictures as files named by their content, and the signed, expiring URLs that show them."""

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import threading
import time
from pathlib import Path

from serving.errors import UserError

URL_PREFIX = "/v1/images/files/"
NAME = re.compile(r"[0-9a-f]{64}\.(png|jpeg|webp)")
SECRET_BYTES = 32


class StoreError(UserError):
    """A picture cannot be kept."""


class SignatureError(UserError):
    """A URL that was never handed out, or whose time is over."""


class ImageStore:
    """The pictures in `folder`; their URLs work for `url_s` seconds. Its methods touch the disk: not for an event loop.

    The key of the signatures lies beside them as `secret`. Deleting it makes every URL invalid that was handed out.
    """

    def __init__(self, folder: Path, url_s: int) -> None:
        self.folder, self.url_s = folder, url_s
        self._making_secret = threading.Lock()

    def save(self, data: bytes, format: str) -> str:
        """Keep a picture encoded as png, jpeg or webp; returns its name.

        Raises `StoreError`, and then nothing is left behind.
        """
        path = self.folder / f"{hashlib.sha256(data).hexdigest()}.{format}"
        if not path.exists():
            self._write(path, data)
        return path.name

    def path(self, name: str) -> Path | None:
        """The picture of that name, None when there is none."""
        path = self.folder / name
        return path if NAME.fullmatch(name) and path.is_file() else None

    def url(self, name: str) -> str:
        """Path and query at which the picture can be fetched from now on, until they expire. Raises `StoreError`."""
        expires = str(int(time.time()) + self.url_s)
        with self._making_secret:
            secret = self._secret() or self._new_secret()
        return f"{URL_PREFIX}{name}?expires={expires}&signature={_signature(secret, name, expires)}"

    def check(self, name: str, expires: str, signature: str) -> None:
        """Raise `SignatureError` unless the three belong together and the time is not over."""
        secret = self._secret()
        # As bytes, since compare_digest refuses text that is not ASCII.
        if not secret or not hmac.compare_digest(_signature(secret, name, expires).encode(), signature.encode()):
            raise SignatureError("The signature of this URL is wrong: use the URL as it was handed out.")
        if int(expires) < time.time():
            raise SignatureError("This URL has expired: ask for the picture again.")

    def _secret(self) -> bytes | None:
        path = self.folder / "secret"
        secret = path.read_bytes() if path.is_file() else b""
        return secret if len(secret) >= SECRET_BYTES else None  # one cut short could be guessed

    def _new_secret(self) -> bytes:
        secret = secrets.token_bytes(SECRET_BYTES)
        self._write(self.folder / "secret", secret)
        return secret

    def _write(self, path: Path, data: bytes) -> None:
        """Write a file that only its owner can read and that is there as a whole or not at all."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, unfinished = tempfile.mkstemp(dir=self.folder, prefix="unfinished-")
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(unfinished, path)
            except BaseException:
                os.unlink(unfinished)
                raise
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StoreError(f"The picture cannot be kept ({reason}): make room where HOMEGROWN_HOME lies.") from None


def _signature(secret: bytes, name: str, expires: str) -> str:
    return hmac.new(secret, f"{name}\n{expires}".encode(), hashlib.sha256).hexdigest()
