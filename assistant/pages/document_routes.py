"""The documents of whoever asks."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from assistant.documents.store import MAX_BYTES
from assistant.pages import bodies
from assistant.pages.views import shown_document
from serving.access import identity
from serving.api.body import read_form
from serving.api.errors import ApiError

FORM_BYTES = 64 * 1024

router = APIRouter(prefix="/api", dependencies=[Depends(bodies.check_ids)])


@router.get("/documents")
async def list_documents(request: Request) -> JSONResponse:
    """What can be searched, the newest first."""
    found = await request.app.state.documents.list(identity(request).user_id)
    return JSONResponse({"documents": [shown_document(document) for document in found]})


@router.post("/documents", status_code=201)
async def add_document(request: Request) -> JSONResponse:
    """Keep the `file` of a form and make it searchable."""
    form = await read_form(request, MAX_BYTES + FORM_BYTES)
    files = form.files.get("file", [])
    if len(files) != 1:
        raise ApiError(400, "Send one file, as `file`.", param="file", code="missing_required_parameter")
    name = form.file_names["file"][0]
    added = await request.app.state.documents.add(identity(request).user_id, name, files[0])
    return JSONResponse(shown_document(added), 201)


@router.delete("/documents/{document_id}", status_code=204)
async def delete_document(request: Request, document_id: str) -> Response:
    """Forget a document."""
    await request.app.state.documents.delete(identity(request).user_id, document_id)
    return Response(status_code=204)
