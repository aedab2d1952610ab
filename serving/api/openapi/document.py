"""GET /openapi.json: what this API takes and answers, made from the very models that check its requests."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from serving.api.openapi.answers import ANSWERS
from serving.api.openapi.requests import request_schemas
from serving.version import VERSION

router = APIRouter()


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The document, OpenAPI 3.1."""
    state = request.app.state
    return JSONResponse(document([card["id"] for card in state.models.cards()], draws=state.images is not None))


def document(models: list[str], draws: bool) -> dict:
    """The whole document for a server that offers these models; with `draws` the endpoints of pictures are in it."""
    about = "OpenAI's API for models that are trained and served here, and pictures."
    return {
        "openapi": "3.1.0",
        "info": {"title": "Homegrown", "version": VERSION, "description": about},
        "paths": _paths() | _promotion_paths() | (_picture_paths() if draws else {}),
        "components": {
            "schemas": request_schemas(models) | ANSWERS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        # On this machine alone no key is needed until there is one.
        "security": [{}, {"key": []}],
    }


def _paths() -> dict:
    return {
        "/v1/chat/completions": {
            "post": _operation("The next message of a conversation", "ChatCompletion", "ChatParameters", streams=True)
        },
        "/v1/completions": {
            "post": _operation("The continuation of a text", "Completion", "CompletionParameters", streams=True)
        },
        "/v1/responses": {
            "post": _operation("A model's answer; none is kept", "Response", "ResponseParameters", streams=True)
        },
        "/v1/embeddings": {"post": _operation("One vector per text", "Embeddings", "EmbeddingParameters")},
        "/v1/models": {"get": _operation("Every model that is offered", "Models")},
        "/v1/models/{model}": {
            "parameters": [_path_parameter("model")],
            "get": _operation("One of them", "Model"),
        },
        "/v1/responses/{response}": {
            "parameters": [_path_parameter("response")],
            "get": _operation("Always 404: no response is kept"),
            "delete": _operation("Always 404: no response is kept"),
        },
        "/health": _watched("The process lives"),
        "/ready": _watched("A request would be answered now"),
    }


def _promotion_paths() -> dict:
    # Without a key it proves that no page of another site asks.
    proof = {"name": "X-Homegrown", "in": "header", "required": True, "schema": {"const": "1"}}
    return {
        "/api/promotions": {
            "get": _operation("What was promoted, and what is served", "Promotions"),
            "post": _operation("Serve another model from now on", "Promotion", "PromotionParameters")
            | {"parameters": [proof]},
        },
        "/api/promotions/rollback": {
            "post": _operation("Serve again what was served before", "Promotion", "RollbackParameters")
            | {"parameters": [proof]},
        },
    }


def _picture_paths() -> dict:
    form = {"multipart/form-data": {"schema": _ref("EditParameters")}}
    edit = _operation("A picture from a picture", "Images", streams=True)
    return {
        "/v1/images/generations": {
            "post": _operation("Pictures from a sentence", "Images", "GenerationParameters", streams=True)
        },
        "/v1/images/edits": {"post": edit | {"requestBody": {"required": True, "content": form}}},
    }


def _operation(summary: str, answer: str | None = None, body: str | None = None, streams: bool = False) -> dict:
    error = {"description": "Refused or failed", "content": {"application/json": {"schema": _ref("Error")}}}
    operation: dict = {"summary": summary, "responses": {"4XX": error, "5XX": error}}
    if answer:
        content = {"application/json": {"schema": _ref(answer)}}
        if streams:
            content["text/event-stream"] = {"schema": _ref("Event")}
        operation["responses"]["200"] = {"description": "Answered", "content": content}
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return operation


def _watched(summary: str) -> dict:
    # A HEAD's answer has the headers of a GET's and no body.
    head = _operation(summary)
    head["responses"] = {status: {"description": "As of GET"} for status in ("200", "4XX", "5XX")}
    return {"get": _operation(summary, "Status"), "head": head}


def _path_parameter(name: str) -> dict:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _ref(name: str) -> dict:
    return {"$ref": f"#/components/schemas/{name}"}
