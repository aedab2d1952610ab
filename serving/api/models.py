"""Which models the API offers, and GET /v1/models. Rooms above register their own models with `add_model`."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from serving.api.errors import unknown_model

Endpoint = Literal["chat/completions", "completions"]


@dataclass(frozen=True)
class ModelRequest:
    """A checked request for one model: `body` is the parsed JSON, `raw` the same as bytes to hand on."""

    endpoint: Endpoint
    body: dict
    raw: bytes
    http: Request


Handler = Callable[[ModelRequest], Awaitable[Response]]


class Models:
    """The models of one API by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._cards: dict[str, dict] = {}

    def add_model(self, name: str, handler: Handler, parent: str | None = None) -> None:
        """Offer a model; `handler` answers its requests with a JSON response or an event stream of bytes.

        `parent` is the model that a LoRA adapter belongs to.
        """
        self._handlers[name] = handler
        card = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "homegrown"}
        self._cards[name] = card | {"root": parent or name, "parent": parent}

    def handler(self, name: str) -> Handler:
        """Who answers for the model. Raises `ApiError` 404."""
        if name not in self._handlers:
            raise unknown_model(name)
        return self._handlers[name]

    def cards(self) -> list[dict]:
        """Every model as the endpoint lists it."""
        return list(self._cards.values())


router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request) -> JSONResponse:
    """Every model that this API offers."""
    return JSONResponse({"object": "list", "data": request.app.state.models.cards()})


@router.get("/v1/models/{name:path}")
async def retrieve_model(request: Request, name: str) -> JSONResponse:
    """One of them; names may contain a slash."""
    card = next((card for card in request.app.state.models.cards() if card["id"] == name), None)
    if card is None:
        raise unknown_model(name)
    return JSONResponse(card)
