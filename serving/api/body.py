"""Reads a request's body, JSON or a form, without trusting its size, its type, its nesting or its speed."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from serving.api.errors import ApiError

BODY_S = 30.0
UPLOAD_S = 120.0
MAX_FIELDS = 64
MAX_FILES = 16
MAX_FIELD_BYTES = 256 * 1024
PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Form:
    """A form's fields, files and the files' own names, each with all the values that were sent under its name."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict)
    file_names: dict[str, list[str]] = field(default_factory=dict)


async def read_object(request: Request, max_bytes: int) -> tuple[dict, bytes]:
    """The JSON object of the body, and the bytes it came as. Raises `ApiError` (400, 408, 413, 415)."""
    _require_type(request, "application/json")
    raw = await _read(request, max_bytes, BODY_S)
    try:
        body = json.loads(raw.decode())
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON, or nested too deeply.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    return body, raw


async def read_fields(request: Request, max_bytes: int) -> dict[str, str]:
    """The body as a page's plain form, the last value of each name. Raises `ApiError` (400, 408, 413, 415)."""
    _require_type(request, "application/x-www-form-urlencoded")
    raw = await _read(request, max_bytes, BODY_S)
    try:
        return dict(parse_qsl(raw.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS))
    except ValueError:
        raise ApiError(400, "The form cannot be read: it has too many fields.", code="invalid_form") from None


async def read_form(request: Request, max_bytes: int) -> Form:
    """The body as a form with files, all of it in memory. Raises `ApiError` (400, 408, 413, 415)."""
    _require_type(request, "multipart/form-data")
    parser = MultiPartParser(
        request.headers,
        _in_pieces(await _read(request, max_bytes, UPLOAD_S)),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    parser.spool_max_size = max_bytes  # never to the disk, which may be full
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise ApiError(400, f"The form cannot be read: {error.message}", code="invalid_form") from None
    form = Form()
    for name, value in items:
        if isinstance(value, str):
            form.fields.setdefault(name, []).append(value)
        else:
            form.files.setdefault(name, []).append(await value.read())
            form.file_names.setdefault(name, []).append(value.filename or "")
    return form


def _require_type(request: Request, wanted: str) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != wanted:
        raise ApiError(415, f"The content type must be {wanted}, not {kind[:100] or 'missing'}.")


async def _read(request: Request, max_bytes: int, limit_s: float) -> bytes:
    """The whole body. Raises `ApiError`: 413 when it is too large, 408 too slow, 400 cut off."""
    too_large = ApiError(413, f"The body is larger than {max_bytes} bytes.", code="request_too_large")
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limit_s):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise too_large
    except ClientDisconnect:
        raise ApiError(400, "The body ended too early.") from None  # nobody reads it
    except TimeoutError:
        raise ApiError(408, f"The body did not arrive within {limit_s:.0f} s.", code="request_timeout") from None
    return b"".join(parts)


async def _in_pieces(raw: bytes) -> AsyncIterator[bytes]:
    """What the parser takes at a time: others are served in between."""
    for start in range(0, len(raw), PIECE_BYTES):
        yield raw[start : start + PIECE_BYTES]
        await asyncio.sleep(0)
    yield b""
