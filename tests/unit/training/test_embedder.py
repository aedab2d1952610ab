"""The embedder: learns from pairs, is the same to the bit when grown again, and touches no other stage."""

import itertools
import json
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from serving.embedder import check_embedder_folder
from serving.errors import UserError
from serving.model_folder import folder_digest, read_lineage
from tests.unit.training.conftest import Workshop, make_workshop
from training.corpus import almanac
from training.corpus.almanac.exam import Exam
from training.corpus.almanac.wordings import is_free
from training.corpus.pairs import neighbours, wording_pairs
from training.corpus.sources import SourceReport
from training.embedder import info_nce, learn_words, read_pairs, weigh_by_rarity
from training.pipeline import STAGES
from training.recipe import EmbedderSection, load_recipe

SECTION = {"pairs": 3000, "wordings": 0.8, "vocabulary": 700, "dimensions": 32, "batch": 128}


def with_embedder(folder: Path) -> Workshop:
    workshop = make_workshop(folder)
    workshop.recipe["embedder"] = SECTION | {"sources": workshop.recipe["tokenizer"]["sources"]}
    return workshop


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One whose embedder is grown; read only."""
    workshop = with_embedder(tmp_path_factory.mktemp("embedding"))
    done = workshop.train("embedder")
    assert done.returncode == 0, done.stderr
    return workshop


def result_of(workshop: Workshop) -> Path:
    return workshop.home / "models" / "small-embedder"


def test_it_is_a_model_folder_that_learnt(embedding: Workshop) -> None:
    folder = result_of(embedding)
    check_embedder_folder(folder)
    lineage = read_lineage(folder)
    assert (lineage.stage, lineage.recipe, lineage.parent) == ("embedder", "small", None)
    assert lineage.metrics["held_out_pairs_found"] > 0.3  # of 300: by chance 0.003
    assert lineage.metrics["training_loss"] < 0.7 * np.log(SECTION["batch"])  # log(128) when nothing is told apart
    assert [source.name for source in lineage.sources] == [str(embedding.folder / "text.jsonl")]
    assert "small-embedder" in (folder / "README.md").read_text()
    assert "sentence-similarity" in (folder / "README.md").read_text()


def test_killed_and_started_again_it_is_the_same_to_the_bit(embedding: Workshop, tmp_path: Path) -> None:
    killed = Workshop(tmp_path, embedding.recipe)
    process = subprocess.Popen(
        killed.command("embedder"), env=killed.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    job = killed.home / "runs" / "small" / "embedder" / "job.json"
    while not job.exists():
        assert process.poll() is None, "the stage ended before it began"
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not result_of(killed).exists()
    assert killed.train("embedder").returncode == 0
    assert folder_digest(result_of(killed)) == folder_digest(result_of(embedding))


def test_unchanged_it_is_skipped_and_damaged_it_is_grown_again(embedding: Workshop, tmp_path: Path) -> None:
    again = Workshop(tmp_path, embedding.recipe)
    shutil.copytree(embedding.home, again.home)
    assert "embedder  unchanged" in again.train("embedder").stdout
    (result_of(again) / "model.safetensors").write_bytes(b"")
    assert "embedder  done" in again.train("embedder").stdout
    assert folder_digest(result_of(again)) == folder_digest(result_of(embedding))


def test_no_other_stage_depends_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    with_it = with_embedder(tmp_path / "with")
    recipe = load_recipe(str(with_it.path))
    without = recipe.model_copy(update={"embedder": None})
    assert STAGES["tokenizer"](recipe).inputs == STAGES["tokenizer"](without).inputs
    wordings = STAGES["embedder"](recipe).inputs["wordings"]
    assert wordings
    no_wordings = load_recipe(str(with_it.path), ["embedder.wordings=0"])
    assert STAGES["embedder"](no_wordings).inputs["wordings"] is None


def test_pairs_depend_on_the_seed_and_too_few_are_one_sentence(tmp_path: Path) -> None:
    section = load_recipe(str(with_embedder(tmp_path).path), ["embedder.pairs=300"]).embedder

    def pairs(section: EmbedderSection, seed: int) -> list[tuple[str, str]]:
        return read_pairs(section, seed, [SourceReport(name=source.name) for source in section.sources])

    assert len(pairs(section, 1)) == 300
    assert pairs(section, 1) == pairs(section, 1) != pairs(section, 2)
    (tmp_path / "text.jsonl").write_text(json.dumps({"text": "Only this one. And that one. No more."}) + "\n")
    source = section.sources[0].model_copy(update={"held_out": 0.0})
    with pytest.raises(UserError, match="only 1 pairs"):
        pairs(section.model_copy(update={"sources": [source], "wordings": 0.0}), 1)


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"embedder\.dimension is an unknown key; did you mean dimensions\?"):
        load_recipe(str(with_embedder(tmp_path).path), ["embedder.dimension=3"])


def test_neighbours_of_texts_and_conversations() -> None:
    text = {"text": "Rivers\n\nThe Nile is long. It is in Africa, isn't it? Yes."}
    assert list(neighbours(text)) == [("The Nile is long.", "It is in Africa, isn't it?")]
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello there"},
        {"role": "user", "content": "Draw a fox"},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert list(neighbours({"messages": talk})) == [("Hello", "Hello there")]


def test_wording_pairs_use_no_wording_that_is_kept_for_tests() -> None:
    pairs = list(itertools.islice(wording_pairs(3), 3000))
    texts = {text for pair in pairs for text in pair}
    kept = {row["question"] for row in Exam(almanac.world(), almanac.phrasing(), "dev").questions()}
    assert not texts & kept
    # What is filled into a frame may make up four such words by chance ("the number of legs").
    assert sum(not is_free(text) for text in texts) < 0.015 * len(texts)


def test_wording_pairs_are_different_and_whole() -> None:
    pairs = list(itertools.islice(wording_pairs(3), 500))
    assert pairs == list(itertools.islice(wording_pairs(3), 500))
    assert sum(first != second for first, second in pairs) > 350
    assert not any(slot in text for pair in pairs for text in pair for slot in ("{r}", "{e}", "{v}", "{is}", "{name}"))


def test_info_nce_is_the_mean_surprise_of_both_directions() -> None:
    left, right = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    cosines = np.array([[1.0, 0.5**0.5], [0.0, 0.5**0.5]]) / 0.5
    forwards = np.log(np.exp(cosines).sum(1)) - cosines.diagonal()
    backwards = np.log(np.exp(cosines).sum(0)) - cosines.diagonal()
    assert info_nce(left, right, 0.5).item() == pytest.approx((forwards.mean() + backwards.mean()) / 2)


def test_the_vocabulary_is_the_same_every_time_and_knows_neither_capitals_nor_accents() -> None:
    texts = [f"{first}{second} São Paulo {first}" for first in "abcdefgh" for second in "ijklmnop"]
    first, second = (learn_words(texts, 400) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert first.encode("SÃO PAULO").ids == first.encode("sao paulo").ids
    assert first.encode("po").tokens == ["p", "##o"]


def test_what_is_frequent_weighs_less() -> None:
    vectors = torch.nn.EmbeddingBag.from_pretrained(torch.ones(3, 2))
    weigh_by_rarity(vectors, torch.tensor([0, 0, 0, 1]), smoothing=0.25)
    assert vectors.weight[:, 0].tolist() == pytest.approx([0.25, 0.5, 1.0])  # shares 3/4, 1/4 and none


def test_smoothing_makes_another_embedder_and_none_leaves_what_was_grown(tmp_path: Path) -> None:
    path = str(with_embedder(tmp_path).path)
    before, smoothed = (load_recipe(path, overrides).embedder for overrides in ([], ["embedder.smoothing=0.01"]))
    assert "smoothing" not in before.model_dump(mode="json")
    assert smoothed.model_dump(mode="json") == before.model_dump(mode="json") | {"smoothing": 0.01}


def test_the_general_recipe_pairs_words_with_what_they_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    sources = load_recipe("general").embedder.sources
    meanings, uses = (source for source in sources if source.name == "wordnet_definitions")
    folder = tmp_path / "wordnet_definitions"
    folder.mkdir()
    rows = [{"words": ["odd", "uneven"], "definition": f"not divisible by {n}", "examples": []} for n in range(50)]
    rows += [row | {"examples": [f"an odd number like {n}"]} for n, row in enumerate(rows)]
    (folder / "definitions.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    section = EmbedderSection(sources=[meanings, uses], pairs=100)
    reports = [SourceReport(name=source.name) for source in section.sources]
    pairs = read_pairs(section, 0, reports)
    assert ("odd\n\nuneven", "not divisible by 7") in pairs
    assert ("not divisible by 7", "an odd number like 7") in pairs
