"""POST /v1/chat/completions and POST /v1/completions: check the request, then hand it to the model's handler."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.api.body import read_object
from serving.api.models import ModelRequest
from serving.api.parameters import check_chat, check_completion

router = APIRouter()


@router.post("/v1/chat/completions")
async def chat_completions(request: Request) -> Response:
    """A conversation's next message."""
    body, raw = await read_object(request, request.app.state.max_body_bytes)
    check_chat(body)
    handler = request.app.state.models.handler(body["model"])
    if any(message["role"] == "developer" for message in body["messages"]):
        # Newer clients say developer where every chat template knows system.
        body["messages"] = [_as_system(message) for message in body["messages"]]
        raw = json.dumps(body).encode()
    return await handler(ModelRequest("chat/completions", body, raw, request))


@router.post("/v1/completions")
async def completions(request: Request) -> Response:
    """A text's continuation."""
    body, raw = await read_object(request, request.app.state.max_body_bytes)
    check_completion(body)
    handler = request.app.state.models.handler(body["model"])
    return await handler(ModelRequest("completions", body, raw, request))


def _as_system(message: dict) -> dict:
    return message | {"role": "system"} if message["role"] == "developer" else message
