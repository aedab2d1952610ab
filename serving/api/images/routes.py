"""POST /v1/images/generations and /v1/images/edits, and the files at signed URLs that they hand out."""

import asyncio
import time

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from serving.api.body import read_form, read_object
from serving.api.charge import charge
from serving.api.disconnect import while_connected
from serving.api.errors import ApiError
from serving.api.images import answers
from serving.api.images.parameters import GenerationParameters, check_edit, check_generation
from serving.api.images.prompt_check import check_prompt
from serving.api.images.uploads import uploaded
from serving.api.models import ModelRequest
from serving.images.files import MEDIA_TYPES
from serving.images.request import DrawRequest
from serving.images.store import URL_PREFIX, SignatureError, StoreError

MAX_UPLOAD_BYTES = 32 * 2**20

router = APIRouter()


@router.post("/v1/images/generations")
async def generations(request: Request) -> Response:
    """Pictures from a sentence."""
    body, _ = await read_object(request, request.app.state.max_body_bytes)
    wanted = check_generation(body)
    request.app.state.image_client.require(wanted.model)
    return await _draw(request, wanted, wanted.wish(), "image_generation")


@router.post("/v1/images/edits")
async def edits(request: Request) -> Response:
    """Another picture from a picture and a sentence, only where the mask allows if there is one."""
    form = await read_form(request, MAX_UPLOAD_BYTES)
    wanted = check_edit(form.fields)
    request.app.state.image_client.require(wanted.model)
    pictures = await asyncio.to_thread(uploaded, form.files)
    return await _draw(request, wanted, wanted.wish(**pictures), "image_edit")


@router.api_route(URL_PREFIX + "{name}", methods=["GET", "HEAD"])
async def image_file(request: Request, name: str, expires: str = "", signature: str = "") -> FileResponse:
    """A picture, for whoever has its URL: the guard asks for no key here."""
    store = request.app.state.image_store
    try:
        await asyncio.to_thread(store.check, name, expires, signature)
    except SignatureError as error:
        raise ApiError(403, str(error), code="invalid_signature") from None
    path = await asyncio.to_thread(store.path, name)
    if path is None:
        raise ApiError(404, "This picture is no longer kept.", code="image_not_found")
    headers = {
        "Cache-Control": f"private, max-age={int(expires) - int(time.time())}, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix[1:]], headers=headers)


async def refuse_text(request: ModelRequest) -> Response:
    """The handler of the image model's name where words are asked for."""
    message = f"The model `{request.body['model']}` draws pictures and cannot answer here: use /v1/images/generations."
    raise ApiError(400, message, param="model", code="invalid_value")


async def _draw(request: Request, wanted: GenerationParameters, wish: DrawRequest, family: answers.Family) -> Response:
    state = request.app.state
    await check_prompt(state.prompt_check, wanted.prompt)
    if wanted.stream:
        events = await state.image_client.draw(wish)
        _charge(request, wish)
        return answers.streamed(events, wish, family)
    files = None
    if wanted.response_format != "b64_json":
        files = answers.Files(state.image_store, str(request.base_url).rstrip("/"))

    async def whole() -> Response:
        answer = await answers.whole(await state.image_client.draw(wish), files)
        _charge(request, wish)
        return answer

    try:
        return await while_connected(request, whole())
    except StoreError as error:
        # A client that tries again would have the same pictures drawn for nothing.
        headers = {"x-should-retry": "false"}
        raise ApiError(507, str(error), code="insufficient_storage", headers=headers) from None


def _charge(request: Request, wish: DrawRequest) -> None:
    state = request.app.state
    state.metrics.pictures(wish.n)
    charge(request, state.images.model_name, {}, wish.n)
