"""What the page may send: bodies and ids."""

import re
from typing import Annotated, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from serving.api.body import read_object
from serving.api.errors import ApiError
from serving.api.parameters import first_problem

MAX_QUESTION = 200_000
MAX_TITLE = 200

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
PersonaName = Annotated[str, Field(max_length=100)]
ID = re.compile(r"[0-9a-f]{32}")
Id = Annotated[str, Field(pattern=f"^{ID.pattern}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Settings(_Body):
    """How answers are sampled, where it is not left to the model, and whether tools may be used."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**20)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    tools: bool | None = None


class NewConversation(_Body):
    """POST /api/conversations."""

    model: ModelName | None = None
    persona: PersonaName | None = None
    settings: Settings = Settings()


class Changes(_Body):
    """PATCH /api/conversations/{id}: what is given is changed."""

    title: Title = ""
    head_id: Id = ""
    model: ModelName = ""
    persona: PersonaName | None = None
    settings: Settings = Settings()


class Question(_Body):
    """POST /api/conversations/{id}/turns."""

    parent_id: Id | None = None
    content: Words


class Regenerate(_Body):
    """POST /api/messages/{id}/regenerate."""

    sampling: Settings = Settings()


class DrawAgain(_Body):
    """POST /api/messages/{id}/draw-again: `step` counts the answer's steps from 0."""

    step: Annotated[int, Field(ge=0, lt=1000)]


class Opinion(_Body):
    """POST /api/messages/{id}/feedback."""

    thumb: Literal[-1, 0, 1]
    correction: Words | None = None
    consent: bool = False


Body = TypeVar("Body", bound=_Body)


async def read(request: Request, kind: type[Body]) -> Body:
    """The checked body. Raises `ApiError` naming what is wrong."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise first_problem(error) from None


def check_id(value: str) -> None:
    """Raise `ApiError` 404 for what cannot be an id, and what some databases would not even take."""
    if not ID.fullmatch(value):
        raise ApiError(404, "There is nothing with this id.", code="not_found")


async def check_ids(request: Request) -> None:
    """The same for all ids in the path."""
    for value in request.path_params.values():
        check_id(value)
