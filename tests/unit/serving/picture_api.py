"""The image endpoints in front of a scripted worker, asked over real HTTP, and checks of what they answer."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
from openai import OpenAI
from PIL import Image

from serving.engine import EngineState
from tests.unit.serving.picture_worker import PictureWorker, encoded

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"
PNG = base64.b64decode(encoded("red", (8, 8)))


@dataclass
class PictureApi:
    """A running API: `images` is its image engine, `worker` what answers for it, `home` where its files are."""

    url: str
    worker: PictureWorker
    images: SimpleNamespace
    home: Path
    http: httpx.Client

    def client(self) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, _strict_response_validation=True)

    def generate(self, prompt: str = "a cat", **more: object) -> httpx.Response:
        return self.http.post(GENERATIONS, json={"prompt": prompt, **more})

    def edit(self, files: object, prompt: str = "a cat", **fields: object) -> httpx.Response:
        return self.http.post(EDITS, files=files, data={"prompt": prompt, **fields})


def engine(base_url: str, name: str) -> SimpleNamespace:
    state = EngineState("ready", "the engine is ready")
    return SimpleNamespace(base_url=base_url, model_name=name, adapters=(), also_called=(), state=state)


def refusal(answer: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    """Check the shape of an error; returns its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert "/" not in error["message"].replace("/v1/images/", "")  # no paths of this machine
    return error["message"]


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def events(answer: httpx.Response) -> list[dict]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    *frames, rest = answer.text.split("\n\n")
    assert rest == ""
    return [json.loads(frame.partition("data: ")[2]) for frame in frames if not frame.startswith(":")]
