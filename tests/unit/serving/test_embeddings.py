"""The embeddings endpoint over real HTTP, with a tiny embedder that sentence-transformers would load."""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openai
import pytest

from serving.embedding_engine import MAX_BATCH, EmbeddingEngine, make_embedding_engine
from serving.errors import UserError
from tests.tiny_embedder import write_embedder
from tests.unit.serving.picture_api import PictureApi, refusal

ENDPOINT = "/v1/embeddings"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_embedder(tmp_path / "models" / "words-embedder")


def client(served: PictureApi) -> openai.OpenAI:
    """The official client. It validates strictly before it decodes base64, so it must not here."""
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


@pytest.fixture
def served(folder: Path, start: Callable[..., PictureApi]) -> PictureApi:
    """An API whose text model `words` was grown with an embedder."""
    return start(draws=False)


def test_one_text_by_the_official_client_which_asks_for_base64(served: PictureApi) -> None:
    with client(served) as lenient:
        answer = lenient.embeddings.create(model="words-embedder", input="cat dog")
    assert answer.data[0].embedding == pytest.approx(np.array([1.5, 0.5, 0]) / np.sqrt(2.5))
    assert (answer.data[0].index, answer.data[0].object, answer.object) == (0, "embedding", "list")
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("words-embedder", 2, 2)


def test_several_texts_keep_their_order_in_both_formats(served: PictureApi) -> None:
    wanted = {"model": "words-embedder", "input": ["cat", "law", "dog dog law"]}
    floats = served.http.post(ENDPOINT, json=wanted).json()["data"]
    assert [datum["index"] for datum in floats] == [0, 1, 2]
    assert floats[0]["embedding"] == [1, 0, 0]
    assert floats[1]["embedding"] == [0, 0, 1]
    encoded = served.http.post(ENDPOINT, json=wanted | {"encoding_format": "base64"}).json()["data"]
    for plain, packed in zip(floats, encoded, strict=True):
        raw = base64.b64decode(packed["embedding"])
        assert np.frombuffer(raw, "<f4").tolist() == plain["embedding"]


def test_it_is_listed_and_answers_nothing_else(served: PictureApi) -> None:
    assert [model.id for model in served.client().models.list()] == ["words", "words-embedder"]
    chat = {"model": "words-embedder", "messages": [{"role": "user", "content": "hi"}]}
    assert "/v1/embeddings" in served.http.post("/v1/chat/completions", json=chat).json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["cat", ""]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2], [3]]}, "input"),
        ({"input": {"text": "cat"}}, "input"),
        ({"input": ["cat"] * 2049}, "input"),
        ({"dimensions": 2}, "dimensions"),
        ({"dimensions": 0}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"model": "words"}, "model"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(served: PictureApi, changes: dict, param: str) -> None:
    answer = served.http.post(ENDPOINT, json={"model": "words-embedder", "input": "cat"} | changes)
    refusal(answer, 400, "invalid_value", param)


def test_its_own_number_of_dimensions_may_be_asked_for_and_floats_pass_strict_validation(served: PictureApi) -> None:
    wanted = {"model": "words-embedder", "input": "law", "dimensions": 3, "encoding_format": "float"}
    assert served.client().embeddings.create(**wanted).data[0].embedding == [0, 0, 1]


def test_an_unknown_model(served: PictureApi) -> None:
    refusal(served.http.post(ENDPOINT, json={"model": "other", "input": "cat"}), 404, "model_not_found", "model")


def test_without_an_embedder_the_text_model_says_that_it_is_none(start: Callable[..., PictureApi]) -> None:
    answer = start(draws=False).http.post(ENDPOINT, json={"model": "words", "input": "cat"})
    assert refusal(answer, 400, "invalid_value", "model") == "The model `words` gives no embeddings."


def test_many_at_once_get_each_their_own(served: PictureApi) -> None:
    def embed(number: int) -> bool:
        texts = ["cat"] * (number % 3) + ["law"]
        with client(served) as lenient:
            data = lenient.embeddings.create(model="words-embedder", input=texts).data
        return [datum.embedding for datum in data] == [[1, 0, 0]] * (number % 3) + [[0, 0, 1]]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(embed, range(64)))


def test_requests_that_wait_are_encoded_together_and_those_who_left_are_not(folder: Path) -> None:
    engine = EmbeddingEngine(folder)
    sizes: list[int] = []
    plain = engine._embed
    engine._embed = lambda texts: sizes.append(len(texts)) or plain(texts)

    async def crowd() -> list[int]:
        asked = [asyncio.create_task(engine.embed(["cat"] * MAX_BATCH))]
        asked += [asyncio.create_task(engine.embed(["law"])) for _ in range(10)]
        await asyncio.sleep(0)
        asked[5].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(answers[5], asyncio.CancelledError)
        return [len(answer.tokens) for place, answer in enumerate(answers) if place != 5]

    assert asyncio.run(crowd()) == [MAX_BATCH] + [1] * 9
    assert sizes == [MAX_BATCH, 9]


def test_a_broken_embedder_is_an_error_of_the_server(served: PictureApi, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\0" * 40)
    answer = served.http.post(ENDPOINT, json={"model": "words-embedder", "input": "cat"})
    refusal(answer, 500, "engine_error")
    with pytest.raises(openai.InternalServerError):
        served.client().embeddings.create(model="words-embedder", input="cat")


def test_a_named_embedder_is_found_or_missed_at_the_start(folder: Path, tmp_path: Path) -> None:
    assert make_embedding_engine(str(folder), ["other"]).model_name == "words-embedder"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no modules\.json"):
        make_embedding_engine(str(tmp_path / "empty"), ["words"])
