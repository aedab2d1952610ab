"""The tool `generate_image`: a picture from the API that the conversation goes through, kept as a file."""

import base64
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from serving.home import home
from serving.images.files import UnreadablePictureError, decode, open_picture
from serving.images.output import named_after

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

SIZE = "512x512"


class DrawingError(Exception):
    """There is no picture: the message says why to a person, `reason` is a clause for the model.

    A small model can only repeat what it has learnt to read, so the reasons are those of `failures` in
    training/corpus/almanac/wordings/requests.yaml.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def generate_image(prompt: str, client: "OpenAI") -> Path:
    """Have `prompt` drawn; returns the new file in the home's `images`. Raises `DrawingError`."""
    data = _drawn(prompt, client)
    try:
        opened = open_picture(data)
        decode(opened)
    except UnreadablePictureError as error:
        raise DrawingError("the file could not be read", f"the picture that came cannot be shown: {error}") from None
    return _kept(data, named_after(prompt).with_suffix(f".{opened.format.lower()}"))


def _drawn(prompt: str, client: "OpenAI") -> bytes:
    import openai

    from assistant.openai_errors import sentence

    patient = client.with_options(max_retries=0)  # a second try would only make the person wait
    try:
        answer = patient.images.generate(prompt=prompt, size=SIZE, response_format="b64_json")
        return base64.b64decode(answer.data[0].b64_json)
    except openai.APITimeoutError as error:
        raise DrawingError("the tool took too long", _clause(sentence(error))) from None
    except openai.APIConnectionError as error:
        raise DrawingError("there is no connection", _clause(sentence(error))) from None
    except openai.APIStatusError as error:
        raise DrawingError(_reason(error), _clause(sentence(error))) from None
    except (openai.OpenAIError, TypeError, LookupError, ValueError):
        raise DrawingError("the service is not available", "the server answered, but not with a picture") from None


def _reason(error: "APIStatusError") -> str:
    match error.status_code:
        case 404 | 405 | 501:
            return "no picture engine is running"
        case 429:
            return "the queue is full"
        case 500 | 502 | 504 | 507:
            return "the service is not available"
    return "this is not possible right now"


def _clause(sentence: str) -> str:
    """ "The model cannot answer now: it is learning." as "it is learning"."""
    clause = sentence.removeprefix("The model cannot answer now: ").rstrip(".")
    return clause[:1].lower() + clause[1:]


def _kept(picture: bytes, name: Path) -> Path:
    """The first free file of that name, with the picture in it."""
    file = next(path for path in _numbered(home() / "images" / name) if not path.exists())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
    except OSError as error:
        with suppress(OSError):
            file.unlink()
        why = (error.strerror or str(error)).lower()
        raise DrawingError("this is not possible right now", f"the picture cannot be kept ({why})") from None
    return file


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in count(2))
