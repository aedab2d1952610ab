"""POST /v1/embeddings: vectors in which texts that mean the same lie close."""

import base64
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.api.body import read_object
from serving.api.charge import charge
from serving.api.disconnect import while_connected
from serving.api.errors import ApiError
from serving.api.models import ModelRequest
from serving.api.parameters import invalid, validated
from serving.embedding_engine import EmbeddingEngine
from serving.errors import UserError

if TYPE_CHECKING:
    import numpy as np

router = APIRouter()


class EmbeddingParameters(BaseModel):
    """POST /v1/embeddings."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1)
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)]
    )
    dimensions: Annotated[int | None, Field(ge=1)] = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


@router.post("/v1/embeddings")
async def embeddings(request: Request) -> Response:
    """One vector per text."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    _refuse_tokens(body.get("input"))
    wanted = validated(EmbeddingParameters, body)
    request.app.state.models.handler(wanted.model)
    engine: EmbeddingEngine | None = request.app.state.embeddings
    if engine is None or wanted.model != engine.model_name:
        use = f": use `{engine.model_name}`" if engine else ""
        message = f"The model `{wanted.model}` gives no embeddings{use}."
        raise ApiError(400, message, param="model", code="invalid_value")
    return await while_connected(request, _answer(request, engine, wanted))


async def refuse_text(request: ModelRequest) -> Response:
    """The handler of the embedding model's name where words are asked for."""
    message = f"The model `{request.body['model']}` gives embeddings and cannot answer here: use /v1/embeddings."
    raise ApiError(400, message, param="model", code="invalid_value")


async def _answer(request: Request, engine: EmbeddingEngine, wanted: EmbeddingParameters) -> Response:
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    try:
        embedded = await engine.embed(texts)
        longest = await engine.longest()
    except UserError:
        message = "The embedding model is broken: grow it anew, or name another with HOMEGROWN_EMBEDDING_MODEL."
        raise ApiError(500, message, code="engine_error") from None
    if longest and max(embedded.tokens) > longest:
        message = f"This model's maximum context length is {longest} tokens. However, your input resulted in "
        raise ApiError(400, f"{message}{max(embedded.tokens)} tokens.", param="input", code="context_length_exceeded")
    size = embedded.vectors.shape[1]
    if wanted.dimensions not in (None, size):
        raise invalid("dimensions", f"must be {size}: the vectors of this model were not made to be shortened")
    shown = _as_base64 if wanted.encoding_format == "base64" else _as_floats
    data = [
        {"object": "embedding", "index": index, "embedding": shown(vector)}
        for index, vector in enumerate(embedded.vectors)
    ]
    tokens = sum(embedded.tokens)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    request.app.state.metrics.tokens(wanted.model, tokens, 0)
    charge(request, wanted.model, usage)
    return JSONResponse({"object": "list", "data": data, "model": wanted.model, "usage": usage})


def _as_base64(vector: "np.ndarray") -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _as_floats(vector: "np.ndarray") -> list[float]:
    return vector.tolist()


def _refuse_tokens(texts: object) -> None:
    """Token ids of another tokenizer would be read as nonsense, and clients that send them do not know ours."""
    if isinstance(texts, list) and texts and isinstance(texts[0], int | list):
        raise invalid("input", "must be a text or a list of texts: token ids are not read here")
