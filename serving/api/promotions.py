"""/api/promotions: which model is served, and the change to another while we serve."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from serving.api.body import read_object
from serving.api.errors import ApiError
from serving.api.parameters import validated
from serving.changeover import Changeover
from serving.engine import EngineError
from serving.errors import UserError
from serving.model_folder import ModelFolderError
from serving.registry import REASON, Promotion, history, prepare, prepare_rollback

router = APIRouter()
Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class PromotionParameters(BaseModel):
    """POST /api/promotions. `sha256` is the digest of the folder that was found good enough."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)
    reason: Reason = REASON
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class RollbackParameters(BaseModel):
    """POST /api/promotions/rollback."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason = REASON


@router.get("/api/promotions")
async def promotions(request: Request) -> JSONResponse:
    """What is served, and every promotion and rollback, the newest first."""
    try:
        changes = await asyncio.to_thread(history)
    except UserError as error:
        raise _refusal(error) from None
    data = [_shown(change) for change in reversed(changes)]
    return JSONResponse({"object": "list", "model": request.app.state.upstream.engine.model_name, "data": data})


@router.post("/api/promotions")
async def promote(request: Request) -> JSONResponse:
    """Serve another model of this home; answers when new requests are answered by it."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    wanted = validated(PromotionParameters, body)
    return await _changed(request, partial(prepare, wanted.model, wanted.reason, wanted.sha256))


@router.post("/api/promotions/rollback")
async def rollback(request: Request) -> JSONResponse:
    """Serve again what was served before the promotion in force; answers when new requests are answered by it."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    wanted = validated(RollbackParameters, body)
    return await _changed(request, partial(prepare_rollback, wanted.reason))


async def _changed(request: Request, prepared: Callable[[], Promotion]) -> JSONResponse:
    changeover: Changeover | None = request.app.state.changeover
    if changeover is None:
        message = "The engine of this server runs elsewhere (--engine-url): exchange its model there."
        raise ApiError(409, message, code="engine_elsewhere")
    try:
        return JSONResponse(_shown(await asyncio.wrap_future(changeover.to(prepared))))
    except UserError as error:
        raise _refusal(error) from None


def _refusal(error: UserError) -> ApiError:
    if isinstance(error, ModelFolderError):
        return ApiError(400, str(error), param="model", code="unusable_model")
    if isinstance(error, EngineError):
        return ApiError(500, str(error), code="engine_error")
    return ApiError(409, str(error), code="not_promoted")


def _shown(promotion: Promotion) -> dict:
    return promotion.model_dump(mode="json")
