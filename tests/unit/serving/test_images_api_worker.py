"""What callers are told when the worker refuses, breaks, dies, or is no longer needed."""

import json
import socket
from collections.abc import Callable

import pytest

from serving.engine import EngineState
from tests.unit.serving.picture_api import GENERATIONS, PNG, PictureApi, events, refusal


def test_refusals_of_the_worker_are_passed_on(served: PictureApi) -> None:
    answer = served.generate("too many")
    refusal(answer, 429, "queue_full")
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"]["type"] == "rate_limit_error"
    refusal(served.generate("too many", stream=True), 429, "queue_full")
    refusal(served.generate("unknown lora"), 400, "unknown_lora", "lora")
    answer = served.generate("loading")
    refusal(answer, 503, "loading")
    assert answer.headers["retry-after"] == "2"
    refusal(served.generate("garbage"), 500, "engine_error")


def test_a_model_that_cannot_draw_yet_or_ever(served: PictureApi) -> None:
    served.images.state = EngineState("learning", "the image model is still learning, ready in about 210 s")
    answer = served.generate()
    assert "about 210 s" in refusal(answer, 503, "engine_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    refusal(served.edit({"image": PNG}), 503, "engine_unavailable")
    served.images.state = EngineState("failed", "The image engine does not run: see /home/me/logs/images.log.")
    refusal(served.generate(), 503, "engine_unavailable")
    served.images.state = EngineState("ready", "")
    assert served.generate().status_code == 200


def test_a_worker_that_dies_or_fails(served: PictureApi) -> None:
    refusal(served.generate("die"), 503, "engine_unavailable")
    (error,) = events(served.generate("die", stream=True))
    assert error["error"]["code"] == "engine_unavailable"
    assert "black" in refusal(served.generate("broken"), 500, "broken_picture")
    (error,) = events(served.generate("broken", stream=True))
    assert error["error"]["code"] == "broken_picture"
    served.images.base_url = "http://127.0.0.1:9"
    answer = served.generate()
    refusal(answer, 503, "engine_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    served.images.base_url = served.worker.base_url
    assert served.generate().status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_drawing(served: PictureApi, stream: bool) -> None:
    body = json.dumps({"prompt": "wait", "stream": stream}).encode()
    with socket.create_connection(served.url.removeprefix("http://").split(":")) as raw:
        raw.sendall(
            f"POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert served.worker.drawing.wait(10)
        assert not served.worker.cancelled.is_set()
    assert served.worker.cancelled.wait(10)


def test_a_server_that_draws_nothing(start: Callable[..., PictureApi]) -> None:
    served = start(draws=False)
    assert "HOMEGROWN_IMAGES" in refusal(served.generate(), 404, "images_not_served")
    refusal(served.http.get(f"/v1/images/files/{'a' * 64}.png"), 403, "invalid_signature")
    assert not (served.home / "images").exists()
    assert [card["id"] for card in served.http.get("/v1/models").json()["data"]] == ["words"]
