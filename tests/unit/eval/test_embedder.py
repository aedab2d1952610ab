"""Embedders: loaded, refused when they cannot be trusted, and measured before anything is measured with them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import rated, validity
from eval.data import Missing, public_path
from eval.embedder import NO_EMBEDDER, Embedder, default_embedder, load_embedder
from eval.figures import Figure, means
from eval.records import Record
from eval.replies import Answer
from eval.scores.similarity import naming_the_embedder, rescaled_cosine, similarity
from serving.embedder import check_embedder_folder
from serving.errors import UserError
from serving.model_folder import ModelFolderError
from tests.tiny_embedder import write_embedder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HOMEGROWN_EMBEDDER", raising=False)
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_embedder(tmp_path / "words")


def counted(name: str, table: dict[str, list[float]]) -> tuple[Embedder, list[list[str]]]:
    """An embedder that looks texts up, and what it was asked for."""
    asked: list[list[str]] = []

    def encode(texts: list[str]) -> np.ndarray:
        asked.append(texts)
        return np.array([table.get(text, [1.0, 0.0]) for text in texts])

    return Embedder(name, "0" * 64, encode), asked


def test_vectors_have_length_one_and_what_is_unknown_has_none(folder: Path):
    vectors = load_embedder(folder).embed(["cat dog", "", "zebra", "law \ud83d"])
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 0, 1])
    assert vectors[0] == pytest.approx(np.array([1.5, 0.5, 0]) / np.sqrt(2.5))
    assert load_embedder(folder).embed([]).shape == (0, 3)


def test_sentence_transformers_says_the_same(folder: Path):
    from sentence_transformers import SentenceTransformer

    texts = ["cat dog dog", "law", "tom cat zebra"]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts, normalize_embeddings=True)
    assert load_embedder(folder).embed(texts) == pytest.approx(theirs, abs=1e-6)


def test_a_folder_that_is_none_is_refused_in_one_sentence(folder: Path, tmp_path: Path):
    broken = {
        "own code": write_embedder(tmp_path / "own code", kind="my_module.Mine"),
        "leads out": write_embedder(tmp_path / "leads out", path="../words"),
        "not finite": write_embedder(tmp_path / "not finite", vectors=np.full((5, 3), np.nan)),
        "more tokens than vectors": write_embedder(tmp_path / "more tokens than vectors", vectors=np.ones((2, 3))),
    }
    pickled = broken["in safetensors"] = write_embedder(tmp_path / "in safetensors")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    truncated = broken["cannot be loaded"] = write_embedder(tmp_path / "cannot be loaded")
    (truncated / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:40])
    unreadable = broken["cannot be read"] = write_embedder(tmp_path / "cannot be read")
    (unreadable / "modules.json").write_text("[1")
    other = broken["no modules.json"] = write_embedder(tmp_path / "no modules.json")
    (other / "modules.json").unlink()
    for sentence, path in broken.items():
        with pytest.raises(UserError, match=sentence) as caught:
            load_embedder(path).embed(["cat"])
        assert "homegrown train embedder" in str(caught.value)
        assert "\n" not in str(caught.value)
    check_embedder_folder(folder)


def test_the_default_is_the_grown_one_unless_another_is_named(own_home: Path, tmp_path: Path, monkeypatch):
    assert default_embedder() is None
    grown = write_embedder(own_home / "models" / "almanac-embedder")
    assert default_embedder().name == "almanac-embedder"
    other = write_embedder(tmp_path / "other", vectors=np.eye(5, 3))
    monkeypatch.setenv("HOMEGROWN_EMBEDDER", str(other))
    assert default_embedder().sha256 != load_embedder(grown).sha256
    monkeypatch.setenv("HOMEGROWN_EMBEDDER", "nowhere")
    with pytest.raises(ModelFolderError, match="nowhere"):
        default_embedder()


def test_what_cannot_be_measured_is_said(folder: Path):
    measured = load_embedder(folder).validity
    assert measured[validity.STS_B].startswith("not measured: ")
    assert measured[validity.WORDINGS].startswith("not measured: ")
    assert measured[validity.RANDOM_PAIRS] == 0  # no word of those sentences is known here


def exam(home: Path, facts: list[tuple[str, str, str]]) -> None:
    path = home / "exams" / "almanac" / "dev.jsonl"
    path.parent.mkdir(parents=True)
    lines = [
        {"id": q, "group": "fact", "subject": "country", "relation": r, "entity": e, "question": q, "wording": q[:9]}
        for r, e, q in facts
    ]
    path.write_text("\n".join(map(json.dumps, lines)))


FACTS = [
    ("capital", "France", "What is the capital of France?"),
    ("capital", "Spain", "Spain's capital?"),
    ("money", "France", "How do they pay in France?"),
    ("money", "Spain", "Name the money of Spain."),
]


def test_wordings_are_paired_with_a_rewording_another_thing_and_another_relation(own_home: Path):
    exam(own_home, FACTS)
    pairs = rated.wording_pairs()
    assert len(pairs) == 12
    asked = FACTS[0][2]
    assert {(second, rating) for first, second, rating in pairs if first == asked} == {
        ("France's capital?", 1.0),
        ("Spain's capital?", 0.0),
        ("Name the money of France.", 0.0),
    }


def test_separation_is_one_for_a_perfect_embedder_a_half_for_a_blind_one(own_home: Path):
    exam(own_home, FACTS)
    meanings = {}
    for text in {text for first, second, _ in rated.wording_pairs() for text in (first, second)}:
        meanings[text] = [float("capital" in text), float("capital" not in text), float("France" in text) * 2]
    perfect, asked = counted("perfect", meanings | {"": [0.0, 0.0, 0.0]})
    pairs = rated.wording_pairs()
    ratings = [rating for *_, rating in pairs]
    assert validity.separation(validity.cosines_of(perfect, pairs), ratings) == 1
    blind, _ = counted("blind", {})
    assert validity.separation(validity.cosines_of(blind, pairs), ratings) == 0.5
    assert len(asked) == 2


def test_what_was_measured_is_kept_outside_the_folder_until_the_data_change(own_home: Path, folder: Path):
    exam(own_home, FACTS)
    embedder, asked = counted("one", {})
    first, requests = embedder.validity, len(asked)
    again, asked = counted("one", {})
    assert again.validity == first
    assert requests > 0
    assert asked == []
    exam_file = own_home / "exams" / "almanac" / "dev.jsonl"
    exam_file.write_text(exam_file.read_text().replace("Spain", "Portugal"))
    changed, asked = counted("one", {})
    assert changed.validity[validity.WORDINGS] == 0.5
    assert any("Portugal" in text for texts in asked for text in texts)
    assert len(list((own_home / "embedders" / ("0" * 64)).iterdir())) == 3  # wordings before and after, random pairs


def similarities(texts: list[str]) -> Figure:
    """What a task of these answers, all of which should mean a cat, says of their similarity."""
    records = [
        Record("t", str(place), "", 0, str(place), "", {"answers": ["cat"]}, "ok", reply=Answer(text))
        for place, text in enumerate(texts)
    ]
    scored = [replace(r, scores={"similarity": similarity(r.sample, r.reply)}) for r in records]
    ((figure,),) = [section.figures for section in naming_the_embedder(means([similarity]))(scored)]
    return figure


def test_similarity_is_that_to_the_nearest_answer_and_rescaled(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEGROWN_EMBEDDER", str(folder))
    assert similarity({"answers": ["law", "cat"]}, Answer("cat")) == pytest.approx(1)
    assert similarity({"answers": ["cat"]}, Answer("law")) == pytest.approx(0)
    assert similarity({"answers": ["cat"]}, Answer("zebra")) == 0
    assert similarity({"answers": []}, Answer("cat")) is None


def test_a_figure_of_similarity_says_by_whom(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEGROWN_EMBEDDER", str(folder))
    figure = similarities(["cat"] * 10 + ["law"] * 10)
    assert figure.estimate.value == pytest.approx(0.5)
    embedder = load_embedder(folder)
    assert f"by the embedder {embedder.name} ({embedder.sha256[:12]}; " in figure.meaning.caveat
    assert "STS-B dev Spearman not measured" in figure.meaning.caveat


def test_without_an_embedder_similarity_is_not_measurable():
    assert similarities(["cat"] * 20).why_not == NO_EMBEDDER


def test_what_random_pairs_have_in_common_is_worth_nothing():
    sentences = rated.UNRELATED.read_text(encoding="utf-8").splitlines()
    table = {text: [np.cos(0.5), np.sin(0.5) * (-1) ** place] for place, text in enumerate(sentences)}
    embedder, _ = counted("narrow", table)
    equal, across = 380, 400  # of the 780 pairs of 40 sentences, half of them on either side
    assert embedder.baseline == pytest.approx((equal + across * np.cos(1)) / 780)
    table |= {"a": [1.0, 0.0], "b": [embedder.baseline, (1 - embedder.baseline**2) ** 0.5]}
    assert rescaled_cosine(embedder, "a", ["b"]) == pytest.approx(0, abs=1e-6)


def test_an_embedder_that_tells_nothing_apart_measures_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "stsb").mkdir()
    (tmp_path / "stsb" / "stsb-en-dev.csv").write_text("cat,tom,5.0\ncat,law,0.0\n")
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    blind, _ = counted("blind", {})
    assert blind.validity[validity.STS_B].startswith("not measurable: ")
    with pytest.raises(UserError, match="takes all texts for the same"):
        rescaled_cosine(blind, "cat", ["law"])


def test_sts_b_is_measured_where_there_is_a_copy(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path):
    data = tmp_path / "data" / "stsb"
    data.mkdir(parents=True)
    (data / "stsb-en-dev.csv").write_text("cat,tom,5.0\ncat,dog,3.0\ncat,law,0.0\n")
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path / "data"))
    assert load_embedder(folder).validity[validity.STS_B] == pytest.approx(1)
    assert public_path("stsb").is_dir()
    with pytest.raises(Missing):
        rated.stsb_pairs("test")
