"""Pictures for the command line, from a worker started for them or from an API that runs."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from serving.engine import EngineError
from serving.errors import UserError
from serving.images.request import DrawRequest

if TYPE_CHECKING:
    import httpx

Progress = Callable[[str, float, int], None]
"""Told what is being done, the step, and of how many; 0 of 0 while that is not known."""

CONNECT_S, POLL_S = 10.0, 0.2
STEP = re.compile(r": step (\d+(?:\.\d+)?) of (\d+)")  # a comment in our API's streams


class DrawError(UserError):
    """The pictures were not drawn."""

    exit_code = 6


def draw_here(model: str | None, wish: DrawRequest, progress: Progress) -> list[bytes]:
    """The pictures of `wish` from the image model `model` (None: the one grown here), in a worker only for them.

    Raises `UserError` when there is no such model, its worker does not start, or it refuses.
    """
    from serving.image_engine import DEFAULT_IMAGE_MODEL, ImageEngine
    from serving.settings import read_settings

    settings = read_settings()
    model = model or settings.image_model or DEFAULT_IMAGE_MODEL
    engine = ImageEngine(model, dtype=settings.image_dtype, loras=settings.image_loras)
    try:
        engine.start()
        while not engine.settled.wait(POLL_S):
            progress(engine.state.reason, 0, 0)
        engine.wait_ready()
        return _answered(f"{engine.base_url}/draw", wish.model_dump(), {}, wish.n, progress)
    finally:
        engine.stop()


def draw_at(url: str, model: str | None, wish: DrawRequest, progress: Progress) -> list[bytes]:
    """The pictures of `wish` from the OpenAI-compatible API at `url`.

    Raises `UserError` when nobody answers there, or with what the API refuses.
    """
    base = url.rstrip("/") if url.rstrip("/").endswith("/v1") else url.rstrip("/") + "/v1"
    key = os.environ.get("HOMEGROWN_API_KEY") or os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    progress("waiting for the API", 0, 0)
    return _answered(f"{base}/images/generations", _as_openai(wish, model), headers, wish.n, progress)


def _as_openai(wish: DrawRequest, model: str | None) -> dict:
    """`wish` in the words of OpenAI's API and, for what that lacks, of vLLM-Omni's."""
    body = {
        "model": model,
        "prompt": wish.prompt,
        "negative_prompt": wish.negative_prompt or None,
        "n": wish.n,
        "size": f"{wish.width}x{wish.height}" if wish.width else None,
        "seed": wish.seed,
        "num_inference_steps": wish.steps,
        "guidance_scale": wish.guidance,
        "lora": [lora.model_dump() for lora in wish.loras] or None,
        "output_format": wish.format,
        "output_compression": wish.compression if wish.format != "png" else None,
        "stream": True,
    }
    return {name: value for name, value in body.items() if value is not None}


def _answered(url: str, body: dict, headers: dict[str, str], count: int, progress: Progress) -> list[bytes]:
    """Ask and listen; leaving early, by Ctrl-C for one, hangs up, which stops the drawing."""
    import httpx

    timeout = httpx.Timeout(None, connect=CONNECT_S)
    try:
        with httpx.stream("POST", url, json=body, headers=headers, timeout=timeout) as answer:
            if answer.status_code != 200:
                raise DrawError(_refusal(answer.status_code, answer.read()))
            pictures = [base64.b64decode(picture) for picture in _pictures(answer, progress)]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EngineError(f"{url} does not answer ({error}): see whether it runs, and try again.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DrawError(f"{url} answered with something else than pictures: check the address.") from None
    if len(pictures) != count:
        raise DrawError(f"{url} sent {len(pictures)} of {count} pictures: try again.")
    return pictures


def _pictures(answer: "httpx.Response", progress: Progress) -> Iterable[str]:
    """The pictures in base64, in order, whatever kind of answer they come in."""
    if answer.headers.get("content-type", "").startswith("application/json"):
        return [picture["b64_json"] for picture in json.loads(answer.read())["data"]]
    found: dict[int, str] = {}
    for line in answer.iter_lines():
        if step := STEP.match(line):
            progress("drawing", float(step[1]), int(step[2]))
        event = line.removeprefix("data:").strip()
        if event.startswith("{"):
            _take(json.loads(event), found, progress)
    return [found[index] for index in sorted(found)]


def _take(event: dict, found: dict[int, str], progress: Progress) -> None:
    """Take in an event of the worker's, or of a stream of OpenAI's API."""
    if "error" in event or event.get("type") == "error":
        raise DrawError(event.get("error", event)["message"])
    kind = event["type"]
    if kind == "progress":
        progress("drawing", event["step"], event["steps"])
    elif kind == "picture":
        found[event["index"]] = event["image"]
    elif kind.endswith(".completed"):
        found[event.get("index", len(found))] = event["b64_json"]


def _refusal(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {status}."
