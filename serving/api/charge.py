"""Charges whoever asks for what the answer took: their limits, their usage, and the log's line."""

from fastapi import Request

from serving.access import identity


def charge(request: Request, model: str, usage: dict, pictures: int = 0) -> None:
    """Count one answer of `model`. `usage` has OpenAI's names; what it lacks was not used."""
    prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    request.scope["state"].update(model=model, usage=usage)
    request.app.state.ledger.count(identity(request), model, prompt, completion, pictures)
