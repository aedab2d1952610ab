"""What the image endpoints accept, and with which parameter named they refuse the rest."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.api.errors import ApiError
from serving.api.images.parameters import MAX_SIDE, GenerationParameters, check_edit, check_generation
from serving.images.request import MAX_SEED, MIN_SIDE, DrawRequest, Lora

CAT = {"prompt": "a cat"}

ACCEPTED = {
    "bare": ({}, {}),
    "a sentence with space around it": ({"prompt": "  a cat\n"}, {"prompt": "a cat"}),
    "as long as OpenAI's": ({"prompt": "x" * 32_000}, {"prompt": "x" * 32_000}),
    "size": ({"size": "512x256"}, {"width": 512, "height": 256}),
    "smallest": ({"size": "16x16"}, {"width": 16, "height": 16}),
    "largest": ({"size": "2048x2048"}, {"width": 2048, "height": 2048}),
    "any size": ({"size": "auto"}, {"width": None, "height": None}),
    "ten": ({"n": 10}, {"n": 10}),
    "format": ({"output_format": "webp", "output_compression": 0}, {"format": "webp", "compression": 0}),
    "seed": ({"seed": MAX_SEED}, {"seed": MAX_SEED}),
    "steps": ({"num_inference_steps": 200, "guidance_scale": 0}, {"steps": 200, "guidance": 0}),
    "whole guidance": ({"guidance_scale": 3}, {"guidance": 3}),
    "without": ({"negative_prompt": "dogs"}, {"negative_prompt": "dogs"}),
    "LoRA": ({"lora": {"name": "sks", "scale": 0.5}}, {"loras": [Lora(name="sks", scale=0.5)]}),
    "two LoRAs": ({"lora": [{"name": "a"}, {"name": "b"}]}, {"loras": [Lora(name="a"), Lora(name="b")]}),
    "stream": ({"stream": True, "partial_images": 3, "response_format": "b64_json"}, {"partial_images": 3}),
    "nulls": (dict.fromkeys(set(GenerationParameters.model_fields) - {"prompt"} | {"svg", "strength"}), {}),
    "without effect": (
        {"quality": "hd", "style": "vivid", "user": "u", "background": "opaque", "moderation": "low"},
        {},
    ),
}

REFUSED = {
    "empty": ({"prompt": ""}, "prompt"),
    "blank": ({"prompt": " \n\t "}, "prompt"),
    "ten thousand words": ({"prompt": "words " * 10_000}, "prompt"),
    "prompt is no text": ({"prompt": ["a cat"]}, "prompt"),
    "no size": ({"size": "0x0"}, "size"),
    "one number": ({"size": "64"}, "size"),
    "number": ({"size": 64}, "size"),
    "letters": ({"size": "axb"}, "size"),
    "huge": ({"size": "100000x100000"}, "size"),
    "huge beyond counting": ({"size": f"{'9' * 5000}x64"}, "size"),
    "one side too long": ({"size": "64x2049"}, "size"),
    "one side too short": ({"size": "15x64"}, "size"),
    "negative": ({"size": "-64x64"}, "size"),
    "broken": ({"size": "64.5x64"}, "size"),
    "upper case": ({"size": "64X64"}, "size"),
    "spaces": ({"size": " 64x64"}, "size"),
    "line": ({"size": "64x64\n"}, "size"),
    "digits of another script": ({"size": "٦٤x٦٤"}, "size"),
    "none": ({"n": 0}, "n"),
    "eleven": ({"n": 11}, "n"),
    "many": ({"n": "many"}, "n"),
    "n as text": ({"n": "2"}, "n"),
    "half": ({"n": 1.5}, "n"),
    "true": ({"n": True}, "n"),
    "no model": ({"model": ""}, "model"),
    "format of answer": ({"response_format": "file"}, "response_format"),
    "format of answer as object": ({"response_format": {"type": "url"}}, "response_format"),
    "format": ({"output_format": "gif"}, "output_format"),
    "compression": ({"output_compression": 101}, "output_compression"),
    "quality": ({"quality": "best"}, "quality"),
    "background": ({"background": "green"}, "background"),
    "style": ({"style": "cubist"}, "style"),
    "steps": ({"num_inference_steps": 201}, "num_inference_steps"),
    "no steps": ({"num_inference_steps": 0}, "num_inference_steps"),
    "guidance": ({"guidance_scale": 20.5}, "guidance_scale"),
    "not a number": ({"guidance_scale": float("nan")}, "guidance_scale"),
    "seed below nought": ({"seed": -1}, "seed"),
    "seed of 70 bits": ({"seed": 2**70}, "seed"),
    "LoRA without a name": ({"lora": {}}, "lora"),
    "LoRA by path": ({"lora": {"name": "../../etc/passwd"}}, "lora"),
    "LoRA from elsewhere": ({"lora": {"name": "x", "path": "/tmp/x"}}, "lora"),
    "LoRA twice": ({"lora": [{"name": "x"}, {"name": "x"}]}, "lora"),
    "LoRA as text": ({"lora": "x"}, "lora"),
    "strong LoRA": ({"lora": {"name": "x", "scale": 1e300}}, "lora"),
    "nine LoRAs": ({"lora": [{"name": f"x{place}"} for place in range(9)]}, "lora"),
    "four partial": ({"stream": True, "partial_images": 4}, "partial_images"),
    "partial without stream": ({"partial_images": 1}, "partial_images"),
    "stream of URLs": ({"stream": True, "response_format": "url"}, "response_format"),
    "strength of nothing": ({"strength": 0.5}, "strength"),
    "animation": ({"frame_count": 4}, "frame_count"),
    "unknown": ({"cfg": 3}, "cfg"),
    "unknown and long": ({"x" * 5000: 3}, "x" * 100),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted_and_handed_on(case: str) -> None:
    given, wished = ACCEPTED[case]
    expected = DrawRequest.model_validate(CAT | wished)
    assert check_generation(CAT | given).wish() == expected


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_parameter_named(case: str) -> None:
    changes, param = REFUSED[case]
    with pytest.raises(ApiError) as caught:
        check_generation(CAT | changes)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert len(caught.value.message) < 300
    assert "Value error" not in caught.value.message


def test_a_prompt_is_needed() -> None:
    with pytest.raises(ApiError, match="prompt") as caught:
        check_generation({})
    assert caught.value.code == "missing_required_parameter"


def outcome(body: dict) -> DrawRequest | ApiError:
    try:
        return check_generation(body).wish()
    except ApiError as error:
        return error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(GenerationParameters.model_fields)) | st.text(), JSON, max_size=4))
@example({"prompt": "a\0b"})
def test_whatever_comes_is_a_wish_or_a_refusal(body: dict) -> None:
    answer = outcome(CAT | body)
    if isinstance(answer, ApiError):
        assert answer.status == 400
    else:
        assert DrawRequest.model_validate_json(answer.model_dump_json()) == answer


@settings(deadline=None)
@given(st.integers(-10, 5000), st.integers(-10, 5000))
def test_sizes_within_bounds_and_no_others(width: int, height: int) -> None:
    answer = outcome(CAT | {"size": f"{width}x{height}"})
    if all(MIN_SIDE <= side <= MAX_SIDE for side in (width, height)):
        assert (answer.width, answer.height) == (width, height)
    else:
        assert answer.param == "size"


def test_a_form_says_the_same_in_text() -> None:
    fields = {
        "prompt": "a cat", "n": "2", "size": "64x64", "stream": "true", "partial_images": "1", "seed": "7",
        "guidance_scale": "2.5", "strength": "0.3", "lora[name]": "sks", "lora[scale]": "0.5", "input_fidelity": "low",
    }  # fmt: skip
    wanted = check_edit({name: [value] for name, value in fields.items()})
    assert wanted.stream is True
    assert wanted.strength == 0.3
    assert wanted.wish() == DrawRequest(
        prompt="a cat", n=2, width=64, height=64, partial_images=1, seed=7, guidance=2.5, strength=0.3,
        loras=[Lora(name="sks", scale=0.5)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    [("n", ["many"]), ("n", ["0"]), ("n", ["1", "2"]), ("n", [""]), ("strength", ["0"]), ("strength", ["nan"]),
     ("image", ["aGk="]), ("image[]", ["aGk="]), ("mask", [""]), ("lora[path]", ["x"]), ("style", ["cubist"]),
     ("stream", ["maybe"]), ("markup", ["x"])],
)  # fmt: skip
def test_a_form_is_refused_with_the_field_named(name: str, values: list[str]) -> None:
    with pytest.raises(ApiError) as caught:
        check_edit({"prompt": ["a cat"], name: values})
    assert (caught.value.status, caught.value.param) == (400, name)
