"""The image endpoints in front of a real worker with a tiny model, asked by the official client."""

import base64
import http.client
import io
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import openai
import pytest
from PIL import Image

from serving.api.app import build_api, guarded
from serving.engine import EngineState
from serving.image_engine import ImageEngine
from serving.images.provenance import read_origin
from serving.server import HttpServer
from serving.settings import read_settings
from tests.conftest import Api
from tests.processes import descendants
from tests.tiny_pipelines import NATIVE_SIZE, write_tiny_pipeline
from tests.unit.serving.picture_api import opened

NATIVE = NATIVE_SIZE["PixelPipeline"]
CAT = "a cat standing on a roof on a sunny day, smiling"
GENERATIONS = "/v1/images/generations"


@pytest.fixture(scope="module")
def drawing(session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API with an image engine that lets one request wait, and without a text engine."""
    folder = write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny-pixels", "PixelPipeline")
    settings = read_settings(image_queue=1)
    starting = EngineState("starting", "")
    words = SimpleNamespace(
        base_url="http://127.0.0.1:9/v1", model_name="words", adapters=(), also_called=(), state=starting
    )
    with (
        ImageEngine(str(folder), queue=settings.image_queue) as engine,
        socket.create_server(("127.0.0.1", 0)) as claimed,
        HttpServer(guarded(build_api(settings, words, engine), settings), claimed) as server,
    ):
        yield Api(server.url, engine)


def picture_file(colour: str, size: tuple[int, int], format: str = "png", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, format)
    return file.getvalue()


def test_the_call_found_in_teaching_material(drawing: Api) -> None:
    with drawing.client() as client:
        answer = client.images.generate(prompt=CAT, n=1, size="512x512")
    data = httpx.get(answer.data[0].url).content
    assert opened(data).size == (512, 512)
    assert (answer.size, answer.native_size, answer.resampled) == ("512x512", f"{NATIVE}x{NATIVE}", True)
    origin = read_origin(data)
    assert (origin.prompt, origin.seed, origin.model) == (CAT, answer.data[0].seed, "tiny-pixels")


def test_a_seed_gives_the_same_picture_again(drawing: Api) -> None:
    with drawing.client() as client:
        ask = {"prompt": CAT, "n": 3, "response_format": "b64_json", "size": "64x64"}
        three = client.images.generate(**ask, extra_body={"seed": 7})
        second = client.images.generate(**(ask | {"n": 1}), extra_body={"seed": three.data[1].seed})
    assert [datum.seed for datum in three.data] == [7, 8, 9]
    pictures = [opened(base64.b64decode(datum.b64_json)).tobytes() for datum in (*three.data, *second.data)]
    assert len(set(pictures[:3])) == 3
    assert pictures[3] == pictures[1]


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_a_stream_shows_the_picture_in_the_making(drawing: Api, format: str) -> None:
    with drawing.client() as client:
        stream = client.images.generate(prompt=CAT, size="64x48", output_format=format, stream=True, partial_images=3)
        *partial, completed = list(stream)
    assert [event.partial_image_index for event in partial] == [0, 1, 2]
    assert completed.type == "image_generation.completed"
    for event in (*partial, completed):
        picture = opened(base64.b64decode(event.b64_json))
        assert (picture.format, picture.size, event.size) == (format.upper(), (64, 48), "64x48")


def test_edits_change_only_what_the_mask_leaves_open(drawing: Api) -> None:
    image = picture_file("red", (32, 32))
    mask = Image.new("RGBA", (32, 32), "black")
    mask.paste((0, 0, 0, 0), (0, 0, 16, 32))  # transparent on the left
    file = io.BytesIO()
    mask.save(file, "png")
    with drawing.client() as client:
        answer = client.images.edit(
            image=("red.png", image), mask=("mask.png", file.getvalue()), prompt=CAT, response_format="b64_json",
            extra_body={"seed": 1, "strength": 0.9},
        )  # fmt: skip
    picture = opened(base64.b64decode(answer.data[0].b64_json))
    assert picture.size == (32, 32)
    assert picture.getpixel((28, 16)) == (255, 0, 0)
    assert picture.getpixel((4, 16)) != (255, 0, 0)


def test_an_edit_without_a_mask_has_the_size_of_its_picture(drawing: Api) -> None:
    with drawing.client() as client:
        answer = client.images.edit(image=picture_file("blue", (40, 24), "jpeg"), prompt=CAT)
    assert answer.size == "40x24"
    assert opened(httpx.get(answer.data[0].url).content).size == (40, 24)


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"lora": {"name": "nobody"}}, "lora", "lora_not_found"),
        ({"size": "100000x100000"}, "size", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
    ],
)
def test_what_cannot_be_drawn(drawing: Api, more: dict, param: str, code: str) -> None:
    with drawing.client() as client, pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt=CAT, extra_body=more)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_damaged_uploads_are_refused_and_the_worker_lives_on(drawing: Api) -> None:
    whole = picture_file("red", (300, 300), "jpeg")
    with drawing.client() as client:
        for files, param in [
            ({"image": whole[: len(whole) // 2]}, "image"),
            ({"image": picture_file("red", (32, 32)), "mask": picture_file("red", (31, 32))}, "mask"),
        ]:
            with pytest.raises(openai.BadRequestError) as caught:
                client.images.edit(prompt=CAT, **files)
            assert caught.value.param == param
        assert client.images.generate(prompt=CAT).data


def test_other_models_are_unknown(drawing: Api) -> None:
    with drawing.client() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.images.generate(prompt=CAT, model="dall-e-3")
        assert caught.value.code == "model_not_found"
        assert client.models.retrieve("tiny-pixels").id == "tiny-pixels"


def test_a_full_queue_and_a_client_that_leaves_it(drawing: Api) -> None:
    """Ten large pictures keep the worker busy for many seconds, and two of them waiting."""
    address = drawing.url.removeprefix("http://")
    body = json.dumps({"prompt": CAT, "n": 10, "size": "2048x2048", "stream": True})
    leaving = http.client.HTTPConnection(address, timeout=120)
    leaving.request("POST", GENERATIONS, body, {"Content-Type": "application/json"})
    began = time.monotonic()
    answer = leaving.getresponse()
    assert answer.readline().startswith(b": step 1 of")
    with drawing.client() as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt=CAT)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) > 0
        while not answer.readline().startswith(b"event: image_generation.completed"):
            pass
        one_took = time.monotonic() - began
        leaving.sock.shutdown(socket.SHUT_RDWR)
        leaving.close()
        left = time.monotonic()
        while True:
            try:
                assert client.images.generate(prompt=CAT).data
                break
            except openai.RateLimitError:
                time.sleep(0.05)
    assert time.monotonic() - left < 3 * one_took  # of nine


def test_a_killed_worker_comes_back(drawing: Api) -> None:
    """Keep it last."""
    with drawing.client() as client:
        stream = client.images.generate(prompt=CAT, n=10, size="2048x2048", stream=True)
        next(stream)
        before = drawing.engine.base_url
        (worker,) = [pid for pid in descendants(os.getpid()) if is_worker(pid)]
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="worker died"):
            list(stream)
        with pytest.raises(openai.InternalServerError) as caught:
            client.images.generate(prompt=CAT)
        assert (caught.value.status_code, caught.value.code) == (503, "engine_unavailable")
        deadline = time.monotonic() + 400
        while drawing.engine.base_url == before or drawing.engine.state.name != "ready":
            assert time.monotonic() < deadline, "the worker did not come back"
            time.sleep(0.1)
        assert client.images.generate(prompt=CAT).data


def is_worker(pid: int) -> bool:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return arguments[1:3] == [b"-m", b"serving.images.worker"]
