"""GET /api/usage: what the keys of whoever asks have used."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.access import identity
from serving.api.errors import ApiError
from serving.usage import usage_of

router = APIRouter()


@router.get("/api/usage")
async def usage(request: Request, all: bool = False) -> JSONResponse:
    """One row per key, day and model, the newest day first, with the limits of the key that asks.

    With `all`, for keys with the scope admin, everybody's rows.
    """
    who = identity(request)
    if all and "admin" not in who.scopes:
        raise ApiError(403, "This key lacks the scope `admin`.", code="insufficient_permissions")
    await request.app.state.ledger.flush()
    rows = await usage_of(request.app.state.database, None if all else who.user_id)
    return JSONResponse({
        "user": who.user_name,
        "limits": asdict(who.limits),
        "usage": [asdict(row) | {"day": row.day.isoformat()} for row in rows],
    })  # fmt: skip
