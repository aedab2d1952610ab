"""What went wrong with a request to an OpenAI-compatible API: as a sentence for people, and as an error of our API."""

import openai

from serving.api.errors import ApiError, engine_unavailable

MAX_CHARS = 300


def sentence(error: Exception) -> str:
    """What the server said was wrong, or that it does not answer; of other errors their message."""
    match error:
        case openai.APIStatusError():
            body = error.body if isinstance(error.body, dict) else {}
            return str(body.get("message") or error)[:MAX_CHARS]
        case openai.APITimeoutError():
            return f"The server at {_address(error)} takes too long."
        case openai.APIConnectionError():
            return f"The server at {_address(error)} does not answer."
    return str(error)


def api_error(error: openai.OpenAIError) -> ApiError:
    """The same error for those who asked us."""
    match error:
        case openai.BadRequestError(code="context_length_exceeded"):
            message = "Your message is longer than the model's context: shorten it."
            return ApiError(400, message, param="messages", code=error.code)
        case openai.APIStatusError():
            retry = {"Retry-After": wait} if (wait := error.response.headers.get("retry-after")) else {}
            return ApiError(error.status_code, sentence(error), param=error.param, code=error.code, headers=retry)
        case openai.APIConnectionError():
            return engine_unavailable("it cannot be reached")
        case openai.APIError(code="engine_unavailable" | "shutting_down"):  # said in a stream that had begun
            return ApiError(503, error.message, code=error.code)
    return ApiError(500, sentence(error), code="engine_error")


def _address(error: openai.APIConnectionError) -> str:
    return error.request.url.netloc.decode()
