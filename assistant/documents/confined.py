"""Reads a file in a process of its own with limits: such a file may be made to take all memory and time."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from serving.api.errors import ApiError

MEMORY_BYTES = 2 * 2**30
SECONDS = 120
MAX_TEXT_BYTES = 64 * 2**20


class RefusedError(Exception):
    """Why a file is not read, as a clause."""


def read_confined(module: str, data: bytes) -> Any:
    """What the reader in `module`, which ends in `serve`, makes of a file. Blocks.

    Raises `ApiError` 400 when the file is broken, refused or too much.
    """
    try:
        reader = subprocess.run([sys.executable, "-m", module], input=data, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise _unreadable(f"reading it takes longer than {SECONDS} s") from None
    if reader.returncode:
        raise _unreadable("it is broken, or needs too much memory")
    told = json.loads(reader.stdout)
    if "refused" in told:
        raise _unreadable(told["refused"])
    return told["found"]


def serve(read: Callable[[bytes], Any]) -> None:
    """In the process of its own: read standard input, within the limits, and tell what `read` makes of it."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        told = json.dumps({"found": read(sys.stdin.buffer.read())})
    except RefusedError as refused:
        told = json.dumps({"refused": str(refused)})
    print(told if len(told) <= MAX_TEXT_BYTES else json.dumps({"refused": "there is too much text in it"}))


def _unreadable(why: str) -> ApiError:
    return ApiError(400, f"This file cannot be read: {why}.", param="file", code="unreadable_document")
