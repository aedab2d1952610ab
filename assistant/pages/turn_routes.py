"""Questions and answers: begin an answer, watch it, stop it, have another one, say what is thought of it."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from assistant.conversations import ConversationView
from assistant.events import Told, Wish
from assistant.history import as_openai
from assistant.pages import bodies, event_stream, offer
from assistant.pages.views import shown_feedback, shown_message
from assistant.redraw import redraw
from assistant.served_model import NAME as ASSISTANT
from assistant.tables import Message
from serving.access import identity
from serving.api.charge import charge
from serving.api.errors import ApiError
from serving.api.event_stream import EventStream
from serving.api.guard import require_scope

TITLE_CHARS = 60

router = APIRouter(prefix="/api", dependencies=[Depends(bodies.check_ids)])


@router.post("/conversations/{conversation_id}/turns", status_code=202)
async def ask(request: Request, conversation_id: str) -> JSONResponse:
    """A question, after the answer `parent_id` or as a beginning, and the answer to it that is begun."""
    wanted = await bodies.read(request, bodies.Question)
    state, user_id = request.app.state, identity(request).user_id
    view = await state.conversations.get(user_id, conversation_id)
    if wanted.parent_id is not None:
        _require_answer(view.message(wanted.parent_id))
    with state.turns.claim(conversation_id):
        question = await state.conversations.add_message(
            user_id, conversation_id, wanted.parent_id, "user", wanted.content
        )
        if not view.conversation.title:
            await state.conversations.rename(user_id, conversation_id, title_of(wanted.content))
        answer = await _answer(request, view, [*view.path(wanted.parent_id), question])
    return await _begun(request, user=question, assistant=answer)


@router.post("/messages/{message_id}/regenerate", status_code=202)
async def regenerate(request: Request, message_id: str) -> JSONResponse:
    """Another answer to the same question, sampled as wanted this once."""
    wanted = await bodies.read(request, bodies.Regenerate)
    view, message = await _find_answer(request, message_id)
    with request.app.state.turns.claim(message.conversation_id):
        sampling = wanted.sampling.model_dump(exclude_unset=True)
        answer = await _answer(request, view, view.path(message.parent_id), sampling)
    return await _begun(request, assistant=answer)


@router.post("/messages/{message_id}/draw-again", status_code=202)
async def draw_again(request: Request, message_id: str) -> JSONResponse:
    """The same answer beside this one, with another picture in one of its steps."""
    require_scope(identity(request), "images")
    wanted = await bodies.read(request, bodies.DrawAgain)
    _, message = await _find_answer(request, message_id)
    if not any(step["pictures"] for step in message.steps[wanted.step : wanted.step + 1]):
        raise ApiError(400, "This step of the answer drew no picture.", param="step", code="invalid_value")
    state = request.app.state
    with state.turns.claim(message.conversation_id):
        telling = redraw(state, message, wanted.step)
        answer = await _begin(
            request, message.conversation_id, message.parent_id, telling, message.model, message.persona
        )
    return await _begun(request, assistant=answer)


@router.post("/messages/{message_id}/stop", status_code=204)
async def stop(request: Request, message_id: str) -> Response:
    """Stop writing this answer; 204 when the model has stopped and what there is of it is saved."""
    await _find_answer(request, message_id)
    await request.app.state.turns.stop_all(lambda turn: turn.message_id == message_id)
    return Response(status_code=204)


@router.post("/messages/{message_id}/feedback")
async def give_feedback(request: Request, message_id: str) -> JSONResponse:
    """A thumb, and perhaps a better answer."""
    wanted = await bodies.read(request, bodies.Opinion)
    given = await request.app.state.feedback.give(
        identity(request).user_id, message_id, wanted.thumb, wanted.correction, wanted.consent
    )
    return JSONResponse(shown_feedback(given))


@router.get("/messages/{message_id}/events")
async def events(request: Request, message_id: str) -> EventStream:
    """How the answer is being written, as server-sent events; see `event_stream`."""
    state = request.app.state
    await _find_answer(request, message_id)

    async def kept() -> dict:
        view, message = await _find_answer(request, message_id)
        return await asyncio.to_thread(shown_message, message, view.feedback.get(message.id), state.image_store)

    return EventStream(event_stream.stream(state.turns.of(message_id), kept, state.image_store))


def title_of(question: str) -> str:
    """A conversation's name, from its first question."""
    words = " ".join(question.split())
    if len(words) <= TITLE_CHARS:
        return words
    return (words[:TITLE_CHARS].rpartition(" ")[0] or words[:TITLE_CHARS]) + " …"


async def _find_answer(request: Request, message_id: str) -> tuple[ConversationView, Message]:
    """An answer of whoever asks, and its conversation. Raises `ApiError`: 404, 400 for a question."""
    conversations, user_id = request.app.state.conversations, identity(request).user_id
    message = await conversations.message(user_id, message_id)
    view = await conversations.get(user_id, message.conversation_id)
    return view, _require_answer(view.message(message_id))


def _require_answer(message: Message) -> Message:
    if message.role != "assistant":
        raise ApiError(400, "This message is a question, not an answer.", code="invalid_value")
    return message


async def _answer(
    request: Request, view: ConversationView, path: list[Message], sampling: dict | None = None
) -> Message:
    """Begin to answer the last message of `path`."""
    conversation = view.conversation
    settings = conversation.settings | (sampling or {})
    is_agent = conversation.model == ASSISTANT
    who = identity(request)
    wish = Wish(
        user_id=who.user_id,
        may_draw="images" in who.scopes,
        messages=as_openai(path),
        model=None if is_agent else conversation.model,
        persona=conversation.persona,
        sampling={name: value for name, value in settings.items() if name != "tools" and value is not None},
        tools=is_agent and settings.get("tools") is not False,
    )
    telling = request.app.state.agent.answer(wish)
    model = offer.name_now(request.app.state, conversation.model)
    return await _begin(request, conversation.id, path[-1].id, telling, model, conversation.persona)


async def _begin(
    request: Request,
    conversation_id: str,
    parent_id: str,
    telling: AsyncIterator[Told],
    model: str,
    persona: str | None,
) -> Message:
    """A running answer, in which is written down what is told."""
    state = request.app.state
    answer = await state.conversations.add_message(
        identity(request).user_id,
        conversation_id,
        parent_id,
        "assistant",
        "",
        state="running",
        model=model,
        version=await asyncio.to_thread(offer.model_version, state, model),
        persona=persona,
    )
    state.turns.start(answer, telling, lambda turn: charge(request, model, turn.usage, turn.pictures))
    return answer


async def _begun(request: Request, **messages: Message) -> JSONResponse:
    store = request.app.state.image_store
    shown = await asyncio.to_thread(lambda: {name: shown_message(one, None, store) for name, one in messages.items()})
    return JSONResponse(shown, 202)
