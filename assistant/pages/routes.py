"""The conversations of whoever asks, and what the page must know before it begins."""

import asyncio
import json

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from assistant.conversation_export import export_json, export_markdown
from assistant.pages import bodies, offer
from assistant.pages.views import shown_conversation, shown_summary
from assistant.served_model import NAME as ASSISTANT
from serving.access import identity
from serving.api.errors import ApiError

PAGE = 50

router = APIRouter(prefix="/api", dependencies=[Depends(bodies.check_ids)])


@router.get("/me")
async def me(request: Request) -> JSONResponse:
    """Who asks, and what there is to choose from."""
    who = identity(request)
    choices = await asyncio.to_thread(offer.offer, request.app.state)
    return JSONResponse({"user": who.user_name, "login": who.key_id is not None, **choices})


@router.get("/conversations")
async def list_conversations(request: Request, search: str = "", before: str | None = None) -> JSONResponse:
    """The newest conversations, 50 at a time: `before` is the id of the last one that is known."""
    state = request.app.state
    if before is not None:
        bodies.check_id(before)
    found = await state.conversations.list(identity(request).user_id, search, limit=PAGE + 1, before=before)
    shown = [shown_summary(one, state.turns.is_running(one.id)) for one in found[:PAGE]]
    return JSONResponse({"conversations": shown, "more": len(found) > PAGE})


@router.post("/conversations", status_code=201)
async def create_conversation(request: Request) -> JSONResponse:
    """An empty conversation."""
    wanted = await bodies.read(request, bodies.NewConversation)
    state = request.app.state
    model = wanted.model or ASSISTANT
    await asyncio.to_thread(offer.check, state, model, wanted.persona)
    made = await state.conversations.create(
        identity(request).user_id,
        model=model,
        persona=wanted.persona,
        settings=wanted.settings.model_dump(exclude_unset=True),
    )
    return await _shown(request, made.id, 201)


@router.get("/conversations/{conversation_id}")
async def get_conversation(request: Request, conversation_id: str) -> JSONResponse:
    """A conversation with all its branches."""
    return await _shown(request, conversation_id)


@router.patch("/conversations/{conversation_id}")
async def change_conversation(request: Request, conversation_id: str) -> JSONResponse:
    """Another title, model, persona, settings, or branch that is shown."""
    wanted = await bodies.read(request, bodies.Changes)
    changes = wanted.model_dump(exclude_unset=True)
    await asyncio.to_thread(offer.check, request.app.state, changes.get("model"), changes.get("persona"))
    await request.app.state.conversations.change(identity(request).user_id, conversation_id, **changes)
    return await _shown(request, conversation_id)


@router.delete("/conversations/{conversation_id}", status_code=204)
async def delete_conversation(request: Request, conversation_id: str) -> Response:
    """Stop what is written in it, and forget it."""
    state, user_id = request.app.state, identity(request).user_id
    await state.conversations.get(user_id, conversation_id)
    await state.turns.stop_all(lambda turn: turn.conversation_id == conversation_id)
    with state.turns.claim(conversation_id):
        await state.conversations.delete(user_id, conversation_id)
    return Response(status_code=204)


@router.get("/conversations/{conversation_id}/export")
async def export_conversation(request: Request, conversation_id: str, format: str = "markdown") -> Response:
    """A file to keep."""
    view = await request.app.state.conversations.get(identity(request).user_id, conversation_id)
    match format:
        case "markdown":
            content, kind, suffix = export_markdown(view), "text/markdown; charset=utf-8", "md"
        case "json":
            content, kind, suffix = json.dumps(export_json(view), ensure_ascii=False), "application/json", "json"
        case _:
            raise ApiError(400, "The format is markdown or json.", param="format", code="invalid_value")
    headers = {"Content-Disposition": f'attachment; filename="conversation-{conversation_id}.{suffix}"'}
    return Response(content, media_type=kind, headers=headers)


async def _shown(request: Request, conversation_id: str, status: int = 200) -> JSONResponse:
    state = request.app.state
    view = await state.conversations.get(identity(request).user_id, conversation_id)
    return JSONResponse(await asyncio.to_thread(shown_conversation, view, state.image_store), status)
