"""The embedder suite finds the better of two embedders in pairs, and asks folders and endpoints alike."""

import asyncio
import gzip
import json
import math
import random

import numpy as np
import pytest
from aiohttp import web

from eval.compare import compare
from eval.data import Inputs
from eval.embedder import load_embedder
from eval.lexical import bag_of_words, tf_idf, word_vectors
from eval.records import Record
from eval.replies import Compared, NoAnswer
from eval.requests import Compare
from eval.result import read_result
from eval.target import Target
from eval.tasks import contrasts
from eval.tasks.yardsticks import best_threshold
from eval.vectors import Comparer, read_cosine
from serving.errors import UserError
from tests.unit.eval.almanac_runs import invoke
from tests.unit.eval.embedders import concepts, write_word_embedder
from tests.unit.eval.threaded_server import ThreadedServer

CONCEPTS, WORDS, LENGTH = 60, 4, 5


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("HOMEGROWN_EMBEDDER", raising=False)


@pytest.fixture
def rated_data(tmp_path):
    """STS-B's test and MSRP in their own shapes: two texts share so many concepts, never a word."""
    rng = random.Random(0)

    def pair(shared):
        first, other = (rng.sample(range(CONCEPTS), LENGTH) for _ in range(2))
        second = first[:shared] + [c for c in other if c not in first][: LENGTH - shared]
        return " ".join(f"c{c}w0" for c in first), " ".join(f"c{c}w1" for c in second)

    (tmp_path / "data" / "stsb").mkdir(parents=True)
    (tmp_path / "data" / "msrp").mkdir()
    lines = [",".join([*pair(shared), f"{shared}.0"]) for shared in range(LENGTH + 1) for _ in range(40)]
    (tmp_path / "data" / "stsb" / "stsb-en-test.csv").write_text("\n".join(lines) + "\n")
    for split in ("val", "test"):
        rows = ["\t".join([str(same), "1", "2", *pair(4 * same)]) for same in (0, 1) for _ in range(30)]
        with gzip.open(tmp_path / "data" / "msrp" / f"msr-para-{split}.tsv.gz", "wt", encoding="utf-8-sig") as file:
            file.write("\n".join(["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", *rows]) + "\n")


def run(folder, out):
    done = invoke("run", folder, "--suite", "embedder", "--out", out)
    assert done.exit_code == 0, done.output
    return read_result(out)


def test_the_better_of_two_embedders_is_found_in_pairs_and_an_equal_one_is_not(rated_data, tmp_path):
    healthy = write_word_embedder(tmp_path / "healthy", concepts(CONCEPTS, WORDS, noise=0.3))
    equal = write_word_embedder(tmp_path / "equal", concepts(CONCEPTS, WORDS, noise=0.3, seed=1))
    defective = write_word_embedder(tmp_path / "defective", concepts(CONCEPTS, WORDS, noise=1.5))
    baseline, other, worse = (run(folder, tmp_path / f"run-{folder.name}") for folder in (healthy, equal, defective))
    found = {change.key: change for change in compare(baseline, worse)}
    assert found["stsb.spearman"].outcome == "worse"
    assert found["stsb.spearman"].p < 0.01
    assert found["msrp.auroc"].outcome == "worse"
    assert {c.key: c.outcome for c in compare(baseline, other)}["stsb.spearman"] == "none"
    # No word is shared, so what needs no training has nothing to go by.
    assert baseline.figures["stsb.spearman"].estimate.value > 0.8
    assert baseline.figures["stsb.spearman.bag_of_words"].why_not
    assert baseline.figures["msrp.accuracy"].estimate.value > 0.8
    assert baseline.figures["msrp.always_yes"].estimate.value == 0.5


def test_an_embedder_that_knows_no_word_measures_nothing(rated_data, tmp_path):
    result = run(write_word_embedder(tmp_path / "blank", {"nothing": [1.0, 0.0]}), tmp_path / "run")
    assert result.figures["stsb.spearman"].why_not
    assert result.figures["contrasts.fooled"].estimate.value == 1  # everything is as far as everything else
    assert result.figures["msrp.accuracy"].estimate.value == 0.5
    assert "sick" in result.identity["skipped"]


class Embeddings(ThreadedServer):
    """POST /v1/embeddings with the vectors of a folder, or whatever `sends`."""

    def __init__(self, folder, sends=None):
        super().__init__()
        self.embedder, self.sends = load_embedder(folder), sends

    def routes(self):
        return (("POST", "/v1/embeddings", self._embed),)

    async def _embed(self, request):
        texts = (await request.json())["input"]
        vectors = 3 * self.embedder.embed(texts)  # an endpoint need not send vectors of length one
        data = [{"index": n, "embedding": v.tolist()} for n, v in enumerate(vectors)]
        return web.Response(text=self.sends or json.dumps({"data": data[::-1]}), content_type="application/json")


async def asked(url, request):
    async with Target(lambda: url, "any") as target:
        return await target.ask(request)


def test_an_endpoint_says_what_the_folder_says(tmp_path):
    folder = write_word_embedder(tmp_path / "words", {"cat": [2, 0], "dog": [1, 1], "law": [0, 3]})
    pairs = [Compare("cat dog", "dog"), Compare("cat", "law"), Compare("cat", "zebra")]
    here = [reply.cosine for reply in Comparer(folder).score_all(pairs)]
    with Embeddings(folder) as server:
        there = [asyncio.run(asked(server.base_url, pair)).cosine for pair in pairs]
    assert there == pytest.approx(here, abs=1e-6)
    assert here == pytest.approx([4 / math.sqrt(20), 0, 0], abs=1e-6)


@pytest.mark.parametrize("sent", ['{"data": []}', "no JSON", '{"data": [{"index": 0, "embedding": ["a"]}]}'])
def test_what_is_no_pair_of_vectors_is_no_answer(sent):
    with pytest.raises(NoAnswer, match="not two vectors"):
        read_cosine(sent.encode(), 0.0)


def test_vectors_that_are_not_finite_are_no_answer():
    data = [{"index": 0, "embedding": [math.nan, 1.0]}, {"index": 1, "embedding": [1.0, 1.0]}]
    with pytest.raises(NoAnswer, match="not finite"):
        read_cosine(json.dumps({"data": data}).encode(), 0.0)


def test_what_is_no_embedder_is_refused_in_one_sentence(rated_data, tmp_path):
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is no embedder"):
        invoke("run", tmp_path / "chat", "--suite", "embedder", "--out", tmp_path / "run")
    with pytest.raises(UserError, match="ask each in a run of its own"):
        invoke("run", tmp_path / "chat", "--suite", "embedder", "--suite", "language", "--out", tmp_path / "mixed")


def test_the_threshold_is_the_one_that_has_most_right():
    assert best_threshold([(0.9, 1.0), (0.8, 0.0), (0.7, 1.0), (0.6, 1.0), (0.2, 0.0)]) == 0.6
    assert best_threshold([(0.9, 0.0), (0.8, 0.0)]) == math.inf


def test_words_alone_differ_in_what_they_see():
    texts = ["the cat sat", "the kitten sat", "the cat purred", "the kitten purred", "a judge ruled", "a court ruled"]
    counted, weighted, learnt = (
        make(texts).embed(["the cat", "the kitten", "a judge", "cat cat"])
        for make in (bag_of_words, tf_idf, word_vectors)
    )
    assert counted[0] @ counted[1] == pytest.approx(0.5)
    assert weighted[0] @ weighted[1] < 0.5  # "the" is everywhere
    assert learnt[0] @ learnt[1] > counted[0] @ counted[1]  # kittens do what cats do
    assert counted[0] @ counted[3] == pytest.approx(math.sqrt(0.5))


def test_a_contrast_is_lost_when_the_changed_sentence_is_as_near():
    def records(name, paraphrase, changed):
        fields = {"kind": "number", "first": name}
        return [
            Record(
                "contrasts",
                f"{name} {r}",
                "",
                0,
                name,
                "",
                fields | {"second": "x", "rating": r},
                "ok",
                reply=Compared(c),
            )
            for r, c in ((1.0, paraphrase), (0.0, changed))
        ]

    found = [record for n in range(10) for record in records(f"won {n}", 0.9, 0.8)]
    found += [record for n in range(10) for record in records(f"lost {n}", 0.8, 0.9)]
    found += [record for n in range(10) for record in records(f"even {n}", 0.8, 0.8)]
    figures = {figure.key: figure for section in contrasts.summarise(found) for figure in section.figures}
    assert figures["fooled"].estimate.value == pytest.approx(2 / 3)
    assert figures["fooled"].n == figures["kind.number"].n == 30
    assert figures["fooled"].better == "low"


def test_the_contrasts_keep_the_words_and_change_the_meaning():
    samples = contrasts.contrasts(Inputs())
    kinds = [sample["kind"] for sample in samples]
    assert min(kinds.count(kind) for kind in kinds) >= 20
    assert len({sample["first"] for sample in samples}) == len(samples) / 2

    def shared(sample):
        words, others = (set(sample[side].lower().strip(".").split()) for side in ("first", "second"))
        return len(words & others) / len(words | others)

    closer = [shared(changed) > shared(same) for changed, same in zip(samples[::2], samples[1::2], strict=True)]
    assert np.mean(closer) > 0.95
