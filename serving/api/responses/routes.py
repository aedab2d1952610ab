"""POST /v1/responses: the newer form of a chat, for every model that the API offers. Nothing is kept."""

import json

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from serving.api.body import read_object
from serving.api.errors import ApiError
from serving.api.event_stream import EventStream
from serving.api.models import ModelRequest
from serving.api.responses.answer import finish, items_of, new_response, status_after
from serving.api.responses.events import response_events
from serving.api.responses.parameters import chat_request, check_response, in_our_terms

router = APIRouter()


@router.post("/v1/responses")
async def responses(request: Request) -> Response:
    """A model's answer, by way of its chat."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    wanted = check_response(body)
    chat = chat_request(wanted)
    handler = request.app.state.models.handler(wanted.model)
    try:
        answer = await handler(ModelRequest("chat/completions", chat, json.dumps(chat).encode(), request))
    except ApiError as error:
        raise in_our_terms(error) from None
    response = new_response(wanted)
    if isinstance(answer, EventStream):
        return EventStream(response_events(answer.body_iterator, response))
    if answer.status_code != 200:
        return answer
    said = json.loads(answer.body)
    choice = said["choices"][0]
    output = items_of(choice["message"], choice.get("logprobs"), status_after(choice["finish_reason"]))
    finish(response, output, choice["finish_reason"], said["usage"])
    return JSONResponse(response)


@router.api_route("/v1/responses/{response_id}", methods=["GET", "DELETE"])
async def kept_response(response_id: str) -> Response:
    """There is none: the conversation is the client's to keep."""
    raise ApiError(404, f"Response with id '{response_id[:100]}' not found: no responses are kept here.")
