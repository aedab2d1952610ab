"""GET /metrics: what has been counted, as Prometheus reads it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

router = APIRouter()


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """All counters of this process, and some of the text engine's."""
    return Response(await request.app.state.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})
