import pytest
from pydantic import ValidationError

from serving.images.request import MAX_SEED, DrawRequest


def test_what_is_not_said_is_the_models_choice() -> None:
    request = DrawRequest(prompt=" a red circle ")
    assert (request.prompt, request.n, request.format, request.compression) == ("a red circle", 1, "png", 100)
    assert {request.width, request.height, request.seed, request.steps, request.guidance} == {None}


def test_it_survives_the_way_to_the_worker() -> None:
    request = DrawRequest(prompt="Katze 🐈", n=3, width=64, height=48, loras=[{"name": "a.b-c"}], seed=MAX_SEED)
    assert DrawRequest.model_validate_json(request.model_dump_json()) == request
    assert request.seed + request.n < 2**63


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": " \n"},
        {"prompt": "x" * 32_001},
        {"n": 0},
        {"n": 11},
        {"n": "many"},
        {"width": 64},
        {"width": 0, "height": 0},
        {"width": 100_000, "height": 100_000},
        {"seed": -1},
        {"seed": 2**63},
        {"steps": 0},
        {"steps": 201},
        {"guidance": 21},
        {"guidance": float("nan")},
        {"format": "gif"},
        {"compression": 101},
        {"partial_images": 4},
        {"mask": "AAAA"},
        {"image": "AAAA", "strength": 0},
        {"loras": [{"name": "../secret"}]},
        {"loras": [{"name": "/etc/passwd"}]},
        {"loras": [{"name": ""}]},
        {"loras": [{"name": "a"}, {"name": "a"}]},
        {"loras": [{"name": "a", "scale": float("inf")}]},
        {"colour": "red"},
    ],
)
def test_what_is_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        DrawRequest(**{"prompt": "x"} | wrong)
