"""Which models the API offers, and GET /v1/models. Rooms above register their own models with `add_model`."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from serving.api.errors import unknown_model
from serving.engine import Engine

Endpoint = Literal["chat/completions", "completions"]


@dataclass(frozen=True)
class ModelRequest:
    """A checked request for one model: `body` is the parsed JSON, `raw` the same as bytes to hand on."""

    endpoint: Endpoint
    body: dict
    raw: bytes
    http: Request


Handler = Callable[[ModelRequest], Awaitable[Response]]


@dataclass(frozen=True)
class _Offer:
    handler: Handler
    card: dict


class Models:
    """The models of one API by name: those of the text engine, and what others add."""

    def __init__(self) -> None:
        self._of_engine: dict[str, _Offer] = {}
        self._added: dict[str, _Offer] = {}

    def set_engine(self, engine: Engine, handler: Handler) -> None:
        """Offer what `engine` serves, before all others and in place of what the engine before it served."""
        model = engine.model_name
        adapters = {name: _card(name, model, parent=model) for name in engine.adapters}
        # Whoever asks for an older name is answered by the model that it stands for now.
        others = {name: _card(name, model, parent=None) for name in engine.also_called}
        cards = {model: _card(model, model, parent=None)} | adapters | others
        self._of_engine = {name: _Offer(handler, card) for name, card in cards.items()}

    def add_model(self, name: str, handler: Handler) -> None:
        """Offer a model; `handler` answers its requests with a JSON response or an event stream of bytes."""
        self._added[name] = _Offer(handler, _card(name, name, None))

    def handler(self, name: str) -> Handler:
        """Who answers for the model. Raises `ApiError` 404."""
        offers = self._offers()
        if name not in offers:
            raise unknown_model(name)
        return offers[name].handler

    def cards(self) -> list[dict]:
        """Every model as the endpoint lists it."""
        return [offer.card for offer in self._offers().values()]

    def _offers(self) -> dict[str, _Offer]:
        return self._of_engine | self._added


def _card(name: str, root: str, parent: str | None) -> dict:
    """OpenAI's model object; `parent` is the model that a LoRA adapter belongs to."""
    created = int(time.time())
    return {"id": name, "object": "model", "created": created, "owned_by": "homegrown", "root": root, "parent": parent}


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
