"""The worker in this process: HTTP in front, the drawing in a thread, a tiny pipeline of ours."""

import base64
import io
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from serving.images.endpoints import build_worker_api
from serving.images.painter import Painter
from serving.images.provenance import read_origin
from serving.images.worker import Worker
from serving.model_folder import folder_digest
from serving.server import HttpServer
from tests.tiny_pipelines import write_tiny_pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pipeline(tmp_path_factory.mktemp("worker") / "images", "PixelPipeline")


class Gate:
    """Every batch waits at it; `batches` is how many have come, `open` lets so many through."""

    def __init__(self) -> None:
        self.batches = 0
        self._passes = threading.Semaphore(0)

    def open(self, batches: int = 1) -> None:
        self._passes.release(batches)

    def wait(self) -> None:
        self.batches += 1
        assert self._passes.acquire(timeout=60)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate, draw = Gate(), Painter.draw

    def gated(painter: Painter, pictures: list, after_step: Callable) -> list:
        gate.wait()
        return draw(painter, pictures, after_step)

    monkeypatch.setattr(Painter, "draw", gated)
    gate.open()  # for the picture that warms up
    return gate


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def worker(folder: Path) -> Worker:
    """At most two jobs may wait, and batches are of four."""
    return Worker(folder, "images", folder.parent / "loras", queue=2, batch=4)


@pytest.fixture
def client(worker: Worker) -> Iterator[httpx.Client]:
    """Of the worker, which begins to load its model."""
    with (
        socket.create_server(("127.0.0.1", 0)) as claimed,
        HttpServer(build_worker_api(worker), claimed) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        refused = client.post("/draw", json={"prompt": "x"})
        assert (client.get("/health").status_code, client.get("/info").status_code, refused.status_code) == (503,) * 3
        threading.Thread(target=worker.work, daemon=True).start()
        yield client


def ready(client: httpx.Client) -> httpx.Client:
    until(lambda: client.get("/health").status_code == 200)
    return client


def events(client: httpx.Client, **wish: object) -> list[dict]:
    answer = client.post("/draw", json={"prompt": "a red circle"} | wish)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def picture(event: dict) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(event["image"])))


def test_a_request_from_its_first_event_to_its_last(client: httpx.Client, folder: Path) -> None:
    *progress, drawn, done = events(ready(client), seed=7, steps=3, width=64, height=40)
    assert progress == [{"type": "progress", "step": step, "steps": 3} for step in (1, 2, 3)]
    image = picture(drawn)
    assert (image.format, image.size) == ("PNG", (64, 40))
    origin = read_origin(base64.b64decode(drawn.pop("image")))
    assert (origin.prompt, origin.seed, origin.model, origin.native_size) == ("a red circle", 7, "images", (16, 16))
    assert origin.model_sha256 == done["sha256"] == folder_digest(folder)
    said = {"type": "picture", "index": 0, "seed": 7, "format": "png"}
    assert drawn == said | {"width": 64, "height": 40, "native_size": [16, 16]}
    assert done == {"type": "done", "model": "images", "sha256": origin.model_sha256}


def test_info(client: httpx.Client, folder: Path) -> None:
    assert ready(client).get("/info").json() == {
        "model": "images",
        "sha256": folder_digest(folder),
        "native_size": [16, 16],
        "own": True,
        "loras": [],
        "steps": 8,
        "pipeline": "PixelPipeline",
    }


def test_more_pictures_than_fit_into_a_batch(client: httpx.Client) -> None:
    told = events(ready(client), n=10, steps=4, format="webp", seed=3)
    drawn = [event for event in told if event["type"] == "picture"]
    assert [(event["index"], event["seed"]) for event in drawn] == [(index, 3 + index) for index in range(10)]
    assert len({picture(event).tobytes() for event in drawn}) == 10
    steps = [event["step"] for event in told if event["type"] == "progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 4


@pytest.mark.parametrize(("partials", "steps", "after"), [(1, 8, [4]), (3, 8, [2, 4, 6]), (3, 1, []), (2, 2, [1])])
def test_partial_pictures_come_between_the_steps(
    client: httpx.Client, partials: int, steps: int, after: list[int]
) -> None:
    told = events(ready(client), n=2, partial_images=partials, steps=steps, width=32, height=32, format="jpeg")
    shown, step = [], 0
    for event in told:
        step = event["step"] if event["type"] == "progress" else step
        if event["type"] == "partial":
            shown.append((step, event["index"]))
            assert (picture(event).format, picture(event).size) == ("JPEG", (32, 32))
    assert shown == [(place, index) for place in after for index in range(2)]


def test_an_edit_keeps_what_is_not_masked(client: httpx.Client) -> None:
    image, mask = Image.new("RGB", (40, 20), "green"), Image.new("L", (40, 20), 0)
    mask.paste(255, (0, 0, 10, 20))
    files = {}
    for name, content in (("image", image), ("mask", mask)):
        file = io.BytesIO()
        content.save(file, "PNG")
        files[name] = base64.b64encode(file.getvalue()).decode()
    drawn = picture(events(ready(client), **files, strength=1.0)[-2])
    assert drawn.size == (40, 20)
    assert drawn.crop((10, 0, 40, 20)).tobytes() == image.crop((10, 0, 40, 20)).tobytes()
    assert drawn.getpixel((4, 10)) != (0, 128, 0)


@pytest.mark.parametrize(
    ("wish", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
        ({"loras": [{"name": "nobody"}]}, "loras", "lora_not_found"),
        ({"image": "AAAA"}, "image", "invalid_image_file"),
    ],
)
def test_what_is_refused(client: httpx.Client, wish: dict, param: str, code: str) -> None:
    answer = ready(client).post("/draw", json={"prompt": "x"} | wish)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (param, code)


def test_a_full_queue_says_when_to_come_again(client: httpx.Client, worker: Worker, gate: Gate) -> None:
    ready(client)
    with ThreadPoolExecutor() as pool:
        flights = [pool.submit(events, client)]
        until(lambda: gate.batches == 2)
        for steps in (1, 2):
            flights.append(pool.submit(events, client, steps=steps))
            until(lambda: len(worker.queue) == len(flights) - 1)
        refused = client.post("/draw", json={"prompt": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) >= 1
        gate.open(3)
        told = [flight.result() for flight in flights]
    assert [events[-1]["type"] for events in told] == ["done"] * 3
    assert [events[0].get("ahead", 0) for events in told] == [0, 0, 1]


def test_requests_that_wait_are_drawn_together(client: httpx.Client, worker: Worker, gate: Gate) -> None:
    ready(client)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(events, client)
        until(lambda: gate.batches == 2)
        others = [pool.submit(events, client, prompt=prompt, seed=1) for prompt in ("red", "blue")]
        until(lambda: len(worker.queue) == 2)
        gate.open(2)
        assert first.result()[-1]["type"] == "done"
        red, blue = (picture(flight.result()[-2]) for flight in others)
    assert red.tobytes() != blue.tobytes()
    assert gate.batches == 3


def test_a_client_that_leaves_stops_its_drawing_and_no_other(client: httpx.Client, worker: Worker, gate: Gate) -> None:
    ready(client)
    with ThreadPoolExecutor() as pool:
        with client.stream("POST", "/draw", json={"prompt": "x", "steps": 200, "n": 10}) as answer:
            until(lambda: gate.batches == 2)  # 4 of its 10 pictures are being drawn, 6 wait
            other = pool.submit(events, client, steps=1)
            until(lambda: len(worker.queue) == 2)
            assert answer.status_code == 200
        until(lambda: len(worker.queue) == 1)
        gate.open(2)
        assert other.result()[-1]["type"] == "done"
    assert gate.batches == 3


def test_a_model_that_fails_is_an_error_and_the_worker_lives_on(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(client)
    with monkeypatch.context() as patch:
        patch.setattr(Painter, "draw", lambda *_: 1 / 0)
        (error,) = events(client)
    assert (error["type"], error["code"], error["status"]) == ("error", "drawing_failed", 500)
    assert "log" in error["message"]
    assert "division" not in error["message"]
    assert events(client)[-1]["type"] == "done"


def test_a_newer_model_is_taken_between_two_batches_and_a_broken_one_is_not(client: httpx.Client, folder: Path) -> None:
    old = events(ready(client), seed=1)
    kept = folder.rename(folder.with_name("kept"))
    try:
        shutil.copytree(kept, folder)
        (folder / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"half")
        assert events(client, seed=1)[-1] == old[-1]
        shutil.rmtree(folder)
        assert events(client, seed=1)[-1] == old[-1]
        write_tiny_pipeline(folder, "PixelPipeline", seed=5)
        newer = events(client, seed=1)
        assert newer[-1]["sha256"] == folder_digest(folder) != old[-1]["sha256"]
        assert picture(newer[-2]).tobytes() != picture(old[-2]).tobytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        kept.rename(folder)
