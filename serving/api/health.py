"""GET /health: 200 only when a request would be answered now."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

router = APIRouter()


@router.api_route("/health", methods=["GET", "HEAD"])
async def health(request: Request) -> JSONResponse:
    """Whether the engine answers; 503 with the reason when it does not."""
    await request.app.state.upstream.health()
    return JSONResponse({"status": "ok"})
