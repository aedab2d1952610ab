"""What the official client and plain HTTP get from the image endpoints."""

import base64
import time

import httpx
import pytest

from tests.unit.serving.picture_api import PictureApi, events, opened, refusal
from tests.unit.serving.picture_worker import encoded


def test_the_call_found_in_teaching_material(served: PictureApi) -> None:
    answer = served.client().images.generate(
        prompt="a cat standing on a roof on a sunny day, smiling", n=1, size="512x512"
    )
    shown = httpx.get(answer.data[0].url)
    assert shown.headers["content-type"] == "image/png"
    assert opened(shown.content).size == (512, 512)
    assert (answer.size, answer.output_format, answer.background) == ("512x512", "png", "opaque")
    assert (answer.native_size, answer.resampled) == ("48x48", True)
    assert answer.usage.total_tokens == 0
    assert abs(answer.created - time.time()) < 60
    assert answer.data[0].b64_json is None


def test_several_pictures_come_in_order_with_their_seeds(served: PictureApi) -> None:
    answer = served.generate(n=3, seed=20, response_format="b64_json", model="images").json()
    assert [datum["seed"] for datum in answer["data"]] == [20, 21, 22]
    pictures = [opened(base64.b64decode(datum["b64_json"])) for datum in answer["data"]]
    assert [picture.getpixel((0, 0)) for picture in pictures] == [(20, 0, 0), (21, 0, 0), (22, 0, 0)]
    assert (answer["size"], answer["resampled"]) == ("48x48", False)
    assert all(set(datum) == {"b64_json", "revised_prompt", "seed"} for datum in answer["data"])


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_every_format_at_a_url(served: PictureApi, format: str) -> None:
    answer = served.generate(output_format=format, output_compression=50).json()
    shown = httpx.get(answer["data"][0]["url"])
    assert shown.headers["content-type"] == f"image/{format}"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert opened(shown.content).format == format.upper()
    assert answer["output_format"] == format
    assert served.worker.asked[0].compression == 50


def test_a_picture_larger_than_any_buffer(served: PictureApi) -> None:
    answer = served.generate("noise", size="1024x1024", n=2)
    for datum in answer.json()["data"]:
        assert opened(httpx.get(datum["url"]).content).size == (1024, 1024)
    (completed,) = events(served.generate("noise", size="1024x1024", stream=True))
    assert opened(base64.b64decode(completed["b64_json"])).size == (1024, 1024)


def test_what_is_asked_for_reaches_the_worker(served: PictureApi) -> None:
    extras = {
        "negative_prompt": "dogs", "num_inference_steps": 9, "guidance_scale": 2.5, "lora": {"name": "sks", "scale": 2}
    }  # fmt: skip
    served.client().images.generate(prompt="a cat", quality="high", style="vivid", user="u", extra_body=extras)
    (wish,) = served.worker.asked
    assert (wish.negative_prompt, wish.steps, wish.guidance) == ("dogs", 9, 2.5)
    assert [(lora.name, lora.scale) for lora in wish.loras] == [("sks", 2.0)]


def test_a_stream(served: PictureApi) -> None:
    stream = served.client().images.generate(
        prompt="a cat", size="64x64", output_format="webp", stream=True, partial_images=2
    )
    *partial, completed = list(stream)
    assert [event.type for event in partial] == ["image_generation.partial_image"] * 2
    assert [event.partial_image_index for event in partial] == [0, 1]
    assert completed.type == "image_generation.completed"
    assert opened(base64.b64decode(completed.b64_json)).size == (64, 64)
    for event in (*partial, completed):
        assert (event.size, event.output_format, event.background) == ("64x64", "webp", "opaque")
    assert completed.usage.total_tokens == 0
    assert (completed.native_size, completed.resampled, completed.seed) == ("48x48", True, 0)


def test_a_stream_tells_how_far_it_is(served: PictureApi) -> None:
    text = served.generate(stream=True).text
    assert text.startswith(": 2 ahead\n\n: step 1 of 2\n\nevent: image_generation.completed\ndata: {")


def test_an_edit_with_a_mask(served: PictureApi) -> None:
    image, mask = (base64.b64decode(encoded(colour, (40, 30))) for colour in ("red", "white"))
    answer = served.client().images.edit(
        image=("cat.png", image), mask=("mask.png", mask), prompt="a cat", n=2, size="64x32",
        extra_body={"strength": 0.4, "lora": {"name": "sks"}},
    )  # fmt: skip
    assert [opened(httpx.get(datum.url).content).size for datum in answer.data] == [(64, 32)] * 2
    (wish,) = served.worker.asked
    assert (base64.b64decode(wish.image), base64.b64decode(wish.mask)) == (image, mask)
    assert (wish.strength, wish.loras[0].name) == (0.4, "sks")


def test_an_edit_as_a_stream_and_with_a_list(served: PictureApi) -> None:
    image = base64.b64decode(encoded("red", (40, 30), "jpeg"))
    stream = served.client().images.edit(image=[image], prompt="a cat", stream=True, partial_images=1)
    assert [event.type for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


def test_the_image_model_is_listed_and_does_not_talk(served: PictureApi) -> None:
    assert [card["id"] for card in served.http.get("/v1/models").json()["data"]] == ["words", "images"]
    chat = {"model": "images", "messages": [{"role": "user", "content": "hi"}]}
    message = refusal(served.http.post("/v1/chat/completions", json=chat), 400, "invalid_value", "model")
    assert "use /v1/images/generations" in message
    refusal(
        served.http.post("/v1/completions", json={"model": "images", "prompt": "hi"}), 400, "invalid_value", "model"
    )
