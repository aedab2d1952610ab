"""A task of lm-eval becomes a run of ours, compared and reported like any other; a script answers in its place."""

import json
import math
import os

import pytest

from eval.data import Missing
from eval.lm_eval.side import read
from eval.lm_eval.suite import lm_eval_suite, read_name
from eval.measure import Measurement, measure
from eval.report.write import write_report
from eval.result import read_result
from eval.run import plan
from eval.suite import find_suite
from serving.errors import UserError
from tests.tiny_model import write_tiny_model

COUNT = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("lm-eval") / "tiny")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Puts a script in the place of the Python that has lm-eval; it keeps what it was asked and gives this answer."""

    def installed(answer):
        (tmp_path / "answer.json").write_text(json.dumps(answer))
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\ncat > {tmp_path}/asked.json\ncat {tmp_path}/answer.json\n")
        os.chmod(python, 0o755)
        monkeypatch.setenv("HOMEGROWN_LM_EVAL", str(python))
        return tmp_path / "asked.json"

    return installed


def sample(number, task="quiz", broken=False, **values):
    values = values or {"acc": float(number % 3 == 0), "brier_score": 0.1 * (number % 4)}
    better = {name: "high" if name == "acc" else "low" for name in values}
    return {
        "id": f"{task}/{number}/none",
        "task": task,
        "prompt": f"Question {number}?",
        "target": "0",
        "answer": "[-1.0]",
        "finite": not broken,
        "values": values,
        "better": better,
    }


def found(samples):
    return {"version": "0.4.13", "samples": samples}


def run(model, out, name="lm-eval:quiz", **options):
    return measure(Measurement(str(model), [name], out=out, **options))


def test_its_samples_become_records_and_its_metrics_figures(installed, model, tmp_path):
    asked = installed(found([sample(n) for n in range(COUNT)]))
    result = run(model, tmp_path / "run", name="lm-eval:quiz:5", limit=COUNT)
    acc, brier = result.figures["quiz.acc"], result.figures["quiz.brier_score"]
    assert (acc.estimate.value, acc.n, acc.better, acc.statistic) == (pytest.approx(1 / 3), COUNT, "high", "share")
    assert (brier.estimate.value, brier.better) == (pytest.approx(0.15), "low")
    wanted = json.loads(asked.read_text())
    assert (wanted["task"], wanted["shots"], wanted["limit"], wanted["model"]) == ("quiz", 5, COUNT, "hf")
    assert wanted["model_args"] == {"pretrained": str(model.resolve()), "dtype": "float32"}
    again = read_result(tmp_path / "run")
    assert {key: f.estimate for key, f in again.figures.items()} == {
        key: f.estimate for key, f in result.figures.items()
    }


def test_two_such_runs_are_compared_in_pairs_and_reported(installed, model, tmp_path):
    from eval.compare import compare

    for name, right in (("a", 0.0), ("b", 1.0)):
        installed(found([sample(n, acc=right) for n in range(COUNT)]))
        run(model, tmp_path / name)
    a, b = (read_result(tmp_path / name) for name in ("a", "b"))
    (change,) = compare(a, b)
    assert (change.outcome, change.difference.n) == ("better", COUNT)
    write_report(tmp_path / "b")
    assert "Question 3?" in (tmp_path / "b" / "report.html").read_text()


def test_log_probabilities_that_are_no_numbers_are_errors_and_not_right_answers(installed, model, tmp_path):
    installed(found([sample(n, broken=True, acc=1.0) for n in range(COUNT)]))
    result = run(model, tmp_path / "run")
    assert len(result.errors) == COUNT
    assert result.figures["quiz.acc"].estimate is None


def test_a_group_has_a_section_for_each_of_its_tasks(installed, model, tmp_path):
    installed(found([sample(n, task) for task in ("law", "logic") for n in range(COUNT)]))
    result = run(model, tmp_path / "run", limit=COUNT)
    assert [section.title for section in result.sections] == ["lm-eval: law", "lm-eval: logic"]
    assert result.figures["quiz.law.acc"].n == COUNT


def test_perplexities_are_made_of_sums_and_other_figures_of_all_documents_are_not_guessed(installed, model, tmp_path):
    rows = [sample(n, word_perplexity=[-2.0 * n - (-1) ** n, n], f1=["a", "b"]) for n in range(1, COUNT + 1)]
    installed(found(rows))
    result = run(model, tmp_path / "run")
    assert result.figures["quiz.word_perplexity"].estimate.value == pytest.approx(math.exp(2))
    assert "all documents together" in result.figures["quiz.f1"].why_not


def test_what_went_wrong_there_is_said_in_a_sentence(installed, model, tmp_path, monkeypatch):
    installed({"error": "KeyError: 'quiz'"})
    with pytest.raises(UserError, match=r"^lm-eval could not ask quiz \(KeyError: 'quiz'\)\.$"):
        run(model, tmp_path / "run")
    monkeypatch.setenv("HOMEGROWN_LM_EVAL", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="names no Python"):
        run(model, tmp_path / "run")
    monkeypatch.delenv("HOMEGROWN_LM_EVAL")
    with pytest.raises(UserError, match="name the Python of that environment with HOMEGROWN_LM_EVAL"):
        run(model, tmp_path / "run")


def test_it_is_asked_alone(model):
    with pytest.raises(UserError, match="run lm-eval:quiz alone"):
        measure(Measurement(str(model), ["language", "lm-eval:quiz"]))


@pytest.mark.parametrize("name", ["lm-eval:", "lm-eval:quiz:many", "lm-eval:nowhere.yaml"])
def test_a_name_that_says_nothing_is_refused(name):
    with pytest.raises(UserError):
        find_suite(name)


def test_a_task_of_ones_own_is_a_file(tmp_path):
    (tmp_path / "quiz.yaml").write_text("task: quiz\n")
    assert read_name(f"lm-eval:{tmp_path}/quiz.yaml:2") == ("quiz", tmp_path / "quiz.yaml", 2)
    suite = lm_eval_suite(f"lm-eval:{tmp_path}/quiz.yaml:2")
    assert suite.name == f"lm-eval:{tmp_path}/quiz.yaml:2"
    with pytest.raises((Missing, UserError)):
        plan(suite, None)


def test_a_sample_is_read_as_lm_eval_keeps_it():
    kept = {
        "doc_id": 7,
        "filter": "none",
        "arguments": [("Q: 1?\nA:", " yes"), ("Q: 1?\nA:", " no")],
        "filtered_resps": [(-1.5, True), (float("nan"), False)],
        "target": 0,
        "metrics": ["acc", "acc_norm"],
        "acc": 1,
        "acc_norm": 0.0,
    }
    row = read("quiz", kept, {"acc": True, "acc_norm": False})
    assert (row["id"], row["prompt"], row["finite"]) == ("quiz/7/none", "Q: 1?\nA:", False)
    assert row["values"] == {"acc": 1.0, "acc_norm": 0.0}
    assert row["better"] == {"acc": "high", "acc_norm": "low"}


@pytest.mark.skipif("HOMEGROWN_LM_EVAL" not in os.environ, reason="HOMEGROWN_LM_EVAL names no Python with lm-eval")
def test_lm_eval_itself_and_our_suite_find_the_same(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rows = [
        {"question": f"What is {n} and {n}?", "choices": [str(2 * n), str(n + 50), "many"], "answer": 0}
        for n in range(COUNT)
    ]
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "quiz",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "quiz.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    # JSON is YAML.
    (tmp_path / "quiz.yaml").write_text(json.dumps(task))
    ours = {
        "name": "quiz",
        "data": "quiz.jsonl",
        "kind": "choose",
        "scores": ["right_option", "right_option_by_length"],
    }
    (tmp_path / "ours.yaml").write_text(json.dumps({"name": "ours", "tasks": [ours]}))
    theirs = run(model, tmp_path / "theirs", name=f"lm-eval:{tmp_path}/quiz.yaml")
    own = run(model, tmp_path / "own", name=str(tmp_path / "ours.yaml"))
    for metric, score in (("acc", "right_option"), ("acc_norm", "right_option_by_length")):
        assert theirs.figures[f"quiz.{metric}"].estimate == own.figures[f"quiz.{score}"].estimate
