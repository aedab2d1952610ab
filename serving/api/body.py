"""Reads a request's JSON body without trusting its size, its type or its nesting."""

import asyncio
import json

from fastapi import Request

from serving.api.errors import ApiError

BODY_S = 30.0


async def read_object(request: Request, max_bytes: int) -> tuple[dict, bytes]:
    """The JSON object of the body, and the bytes it came as. Raises `ApiError` (400, 408, 413, 415)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"The content type must be application/json, not {kind[:100] or 'missing'}.")
    raw = await _read(request, max_bytes)
    try:
        body = json.loads(raw)
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no character
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON, or nested too deeply.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "The body must be a JSON object.", code="invalid_json")
    return body, raw


async def _read(request: Request, max_bytes: int) -> bytes:
    too_large = ApiError(413, f"The body is larger than {max_bytes} bytes.", code="request_too_large")
    if int(request.headers.get("content-length") or 0) > max_bytes:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, f"The body did not arrive within {BODY_S:.0f} s.", code="request_timeout") from None
    return b"".join(parts)
