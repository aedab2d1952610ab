"""The similarity suite: near answers are near by every yardstick, and a better embedder tells right answers better."""

import asyncio
from pathlib import Path

import pytest

from eval.data import Inputs
from eval.differences import difference
from eval.embedder import NO_EMBEDDER
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.suites.similarity import SUITE
from eval.target import Target
from tests.unit.eval.embedders import concepts, write_word_embedder

PLACES = 40
"""Each has a capital, "c0w0" and so on, which is also called "c0w1"."""


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HOMEGROWN_EMBEDDER", raising=False)
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)


def question(number):
    return {"id": str(number), "question": f"Capital of place {number}?", "answers": [f"c{number}w0", f"c{number}w1"]}


def answered(tmp_path, serve_table, write_questions, reply_to) -> Path:
    """A run of the suite in which question n is answered with `reply_to(n)`."""
    questions = write_questions([question(number) for number in range(PLACES)])
    table = {question(number)["question"]: reply_to(number) for number in range(PLACES)}
    planned = plan(SUITE, Inputs(questions=questions))
    run = Run(planned, identify(planned, "tiny", None, False), tmp_path / "run")

    async def ask():
        async with Target(serve_table(table).at, "tiny") as target:
            await run.ask(target, 8)

    asyncio.run(ask())
    return run.folder


def half_right(number):
    """Wrong answers name the capital of another place; all have words around it that say nothing."""
    named = number if number % 2 else (number + 1) % PLACES
    return f"f{number % 7} f{number % 5} c{named}w1"


def figures_by(run, embedder, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_EMBEDDER", str(embedder))
    return read_result(run).figures


def test_a_better_embedder_tells_right_answers_better(tmp_path, serve_table, write_questions, monkeypatch):
    run = answered(tmp_path, serve_table, write_questions, half_right)
    capitals = concepts(PLACES, 2, noise=0.2)
    fillers = {f"f{n}": vector for n, vector in enumerate(concepts(7, 1, noise=0, seed=1).values())}
    good = write_word_embedder(tmp_path / "good", capitals | {name: 0.1 * f for name, f in fillers.items()})
    blurred = {name: 1 + 0.05 * capital for name, capital in capitals.items()}  # nearly the same for all
    bad = write_word_embedder(tmp_path / "bad", blurred | fillers)
    by_good, by_bad = (figures_by(run, embedder, monkeypatch)["similarity.right.embedder"] for embedder in (good, bad))
    assert by_good.estimate.value > 0.95
    found = difference("auroc", by_bad.observations, by_good.observations)
    assert found.difference > 0
    assert found.p < 0.01


def test_every_yardstick_finds_its_own_words_near(tmp_path, serve_table, write_questions, monkeypatch):
    run = answered(tmp_path, serve_table, write_questions, lambda number: f"c{number}w0")
    figures = figures_by(run, write_word_embedder(tmp_path / "words", concepts(PLACES, 2, 0.2)), monkeypatch)
    for name in ("embedder", "tf_idf", "bag_of_words", "word_vectors"):
        assert figures[f"similarity.{name}"].estimate.value == pytest.approx(1, abs=1e-5)
        assert figures[f"similarity.right.{name}"].why_not  # none is wrong
    assert "by the embedder words" in figures["similarity.embedder"].meaning.caveat
    assert "random pair cosine" in figures["similarity.tf_idf"].meaning.caveat


def test_how_far_the_embedder_can_be_trusted_stands_beside_it(tmp_path, serve_table, write_questions, monkeypatch):
    run = answered(tmp_path, serve_table, write_questions, half_right)
    figures = figures_by(run, write_word_embedder(tmp_path / "words", {"not": [1.0, 0.0]}), monkeypatch)
    assert figures["similarity.contrasts.fooled"].estimate.n == 80
    assert "HOMEGROWN_DATA" in figures["similarity.stsb.spearman"].why_not
    data = tmp_path / "data" / "stsb"
    data.mkdir(parents=True)
    pairs = [f"c{n}w0,c{m}w1,{5.0 if n == m else 0.0}" for n in range(10) for m in (n, n + 1)]
    (data / "stsb-en-test.csv").write_text("\n".join(pairs) + "\n")
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path / "data"))
    figures = figures_by(run, write_word_embedder(tmp_path / "more words", concepts(PLACES, 2, 0.2)), monkeypatch)
    assert figures["similarity.stsb.spearman"].estimate.value > 0.8


def test_without_an_embedder_words_still_say_something(tmp_path, serve_table, write_questions):
    run = answered(tmp_path, serve_table, write_questions, half_right)
    figures = read_result(run).figures
    assert figures["similarity.embedder"].why_not == NO_EMBEDDER
    assert figures["similarity.right.tf_idf"].estimate.value > 0.95
    assert "similarity.stsb.spearman" not in figures


def test_silence_is_not_near(tmp_path, serve_table, write_questions, monkeypatch):
    run = answered(tmp_path, serve_table, write_questions, lambda number: "I don't know.")
    figures = figures_by(run, write_word_embedder(tmp_path / "words", concepts(PLACES, 2, 0.2)), monkeypatch)
    assert figures["similarity.embedder"].estimate.value <= 0
    assert figures["similarity.tf_idf"].estimate.value <= 0
    assert figures["similarity.right.embedder"].why_not  # none is right
