"""The one factory of error answers: every error of the API, from a wrong path to a dead engine, has OpenAI's shape."""

import json
import re
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

MAX_MESSAGE = 1000
RETRY_AFTER_S = "5"
# vLLM appends what it objects to; OpenAI has a field for that.
VLLM_SUFFIX = re.compile(r" \(parameter=(?P<param>[^,)]+)(, value=.*)?\)$", re.DOTALL)


class ApiError(Exception):
    """An answer other than 200. `param` names the offending field, `code` is for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = headers or {}

    def body(self) -> dict:
        """OpenAI's error object; all four keys are always there."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            kind = "rate_limit_error"
        error = {"message": self.message[:MAX_MESSAGE], "type": kind, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> JSONResponse:
        """The answer to send."""
        return JSONResponse(self.body(), self.status, self.headers)

    def event(self) -> bytes:
        """The same as a server-sent event, for a stream that has begun."""
        return b"data: " + json.dumps(self.body()).encode() + b"\n\n"


def engine_unavailable(reason: str) -> ApiError:
    """The engine cannot answer now; clients may try again."""
    return ApiError(
        503,
        f"The model cannot answer now: {reason}.",
        code="engine_unavailable",
        headers={"Retry-After": RETRY_AFTER_S},
    )


def shutting_down() -> ApiError:
    """Whoever asks must ask again, later or somewhere else."""
    message = "The server is shutting down: ask again in a moment."
    return ApiError(503, message, code="shutting_down", headers={"Retry-After": RETRY_AFTER_S})


def internal_error(request_id: str) -> ApiError:
    """A defect of ours; whoever runs the server finds it by the id."""
    message = f"The server made a mistake; its log has the details under {request_id}."
    return ApiError(500, message, code="internal_error")


def unknown_model(name: str) -> ApiError:
    """No model of that name is served here."""
    message = f"The model `{name[:200]}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


def from_engine(status: int, body: bytes) -> ApiError:
    """vLLM's error put into OpenAI's terms."""
    try:
        error = json.loads(body)["error"]
        message, param = str(error["message"]), error.get("param")
    except (ValueError, KeyError, TypeError):
        message, param = f"The engine answered with status {status}.", None
    if status >= 500:
        if "EngineCore" in message or "EngineDead" in message:
            return engine_unavailable("its engine died and is being restarted")
        return ApiError(500, message, code="engine_error")
    if suffix := VLLM_SUFFIX.search(message):
        message, param = message[: suffix.start()], suffix["param"]
    return ApiError(status, message, param=param and str(param).removeprefix("body."), code="invalid_value")


def install(app: FastAPI) -> None:
    """Make every error of `app` an OpenAI error."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        return from_status(request, error).response()

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        return internal_error(request.state.request_id).response()


def from_status(request: Request, error: HTTPException) -> ApiError:
    """What the router refuses: paths and methods."""
    path = request.scope["path"]
    if error.status_code == HTTPStatus.NOT_FOUND:
        return ApiError(404, f"Unknown request URL: {request.method} {path}.", code="unknown_url")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"Not allowed to {request.method} on {path}."
        return ApiError(
            405, message, code="method_not_supported", headers=_allowed(request) or dict(error.headers or {})
        )
    return ApiError(error.status_code, str(error.detail))


def _allowed(request: Request) -> dict[str, str]:
    """The header with all methods of a path: the router names those of the first of its routes alone."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    found = (route.methods for route in routes if route.matches(request.scope)[0] is Match.PARTIAL)
    methods = sorted(set().union(*found))
    return {"allow": ", ".join(methods)} if methods else {}
