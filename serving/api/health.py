"""GET /health: the process lives. GET /ready: a request would be answered now."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

router = APIRouter()


@router.api_route("/health", methods=["GET", "HEAD"])
async def health() -> JSONResponse:
    """That we answer at all: whoever gets none should restart us."""
    return JSONResponse({"status": "ok"})


@router.api_route("/ready", methods=["GET", "HEAD"])
async def ready(request: Request) -> JSONResponse:
    """Whether to send people here; 503 with the reason while the engine does not answer. `Traffic` knows of the end."""
    await request.app.state.upstream.health()
    return JSONResponse({"status": "ready"})
