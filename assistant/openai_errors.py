"""What went wrong with a request, as a sentence for people."""

import openai

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


def _address(error: openai.APIConnectionError) -> str:
    return error.request.url.netloc.decode()
