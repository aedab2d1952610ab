"""The same choice among options in other forms: which is taken, and when agreement is a merit."""

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest

from eval.data import Inputs, public_data
from eval.records import Record
from eval.replies import Scored
from eval.run import cluster_of
from eval.scores.options import option_taken, right_option
from eval.tasks import formats, language, pararel


def figures(records, task):
    return {figure.key: figure for section in task.figures(records) for figure in section.figures}


@pytest.mark.parametrize(
    ("logprobs", "is_right", "taken"),
    [([-1.0, -2.0], True, "Paris"), ([-2.0, -1.0], False, "Rome"), ([0.0, 0.0], None, None)],
)
def test_options(logprobs, is_right, taken):
    sample = {"choices": ["Paris", "Rome"], "answer": 0}
    reply = Scored(logprobs, [1, 1])
    assert right_option(sample, reply) is is_right
    assert option_taken(sample, reply) == taken


@pytest.fixture
def public_copy(tmp_path, monkeypatch):
    """A folder of local copies with a made-up ParaRel and ARC in the shape of the real ones."""
    (tmp_path / "pararel").mkdir()
    (tmp_path / "multiple_choice_qa").mkdir()
    patterns = [
        "[X] lies in [Y].",
        "[Y] holds [X].",
        "[X] is in [Y] .",
        "You find [X] in [Y].",
        "The land of [X] is [Y].",
    ]
    rows = [{"relation": "P1", "pattern": text} for text in patterns] + [{"relation": "P2", "pattern": "[X] is [Y]."}]
    (tmp_path / "pararel/patterns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    triples = [{"relation": "P1", "subject": f"town {n}", "object": f"land {n % 7}"} for n in range(40)]
    triples.append({"relation": "P1", "subject": "town 1", "object": "land 2"})
    with gzip.open(tmp_path / "pararel/triples.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in triples)
    questions = [{"question": f"What is {n}?", "choices": list("abcd"), "answer": n % 4} for n in range(12)]
    with gzip.open(tmp_path / "multiple_choice_qa/arc_easy_test.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in [*questions, questions[0] | {"choices": ["a", "b"]}])
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    return tmp_path


def test_pararel_asks_the_patterns_that_end_with_the_object(public_copy):
    samples = pararel.facts(Inputs())
    assert len(samples) == pararel.FACTS
    for sample in samples:
        subject = sample["id"].split("/")[1]
        asked = [sample["question"], *sample["rewordings"]]
        assert asked == [
            f"{subject} lies in",
            f"{subject} is in",
            f"You find {subject} in",
            f"The land of {subject} is",
        ]
        true = sample["choices"][sample["answer"]]
        assert true in {f"land {int(subject.split()[1]) % 7}"}
        assert len(set(sample["choices"])) == pararel.OPTIONS
        if subject == "town 1":
            assert "land 2" not in sample["choices"]
    assert samples == pararel.facts(Inputs())


def test_facts_in_the_patterns_of_one_relation_depend_on_each_other(public_copy):
    assert {cluster_of(pararel.TASK, sample) for sample in pararel.facts(Inputs())} == {"P1"}


def scored_records(task, takes):
    """Records of a multiple-choice task whose model takes the option that `takes` says, by case."""
    cases = list(task.cases(task.data(Inputs())))
    records = []
    for number, case in enumerate(cases):
        logprobs = [-2.0] * len(case.request.options)
        logprobs[takes(case, number)] = -1.0
        reply = Scored(logprobs, [1] * len(logprobs))
        sample = case.sample | {"id": str(case.sample["id"])}
        landed = Record(task.name, sample["id"], case.variant, 0, sample["id"], "r", sample, "ok", None, reply)
        records.append(replace(landed, scores=task.score(sample, reply)))
    return records


def test_a_model_that_takes_the_first_option_depends_on_their_order(public_copy):
    task = formats.ARC_ORDER
    first = figures(scored_records(task, lambda case, number: 0), task)
    assert first["right_option"].estimate.value == pytest.approx(0.25)
    assert first["consistency"].why_not == "its accuracy is not surely above chance, 25 %"
    knows = figures(scored_records(task, lambda case, number: case.sample["answer"]), task)
    assert knows["consistency"].estimate.value == 1
    assert knows["right_option"].estimate.value == 1


@pytest.mark.parametrize("key", ["consistency", "worst_case", "spread"])
def test_ignoring_the_question_is_no_robustness(public_copy, key):
    task = formats.ARC_FORMATS
    # The answer of the nth question is n % 4, and it has nine forms.
    ignoring = figures(scored_records(task, lambda case, number: number // 9 // 4 % 4), task)
    assert ignoring["right_option"].estimate.value == 0.25
    assert "is not surely above chance, 25 %" in ignoring[key].why_not
    knowing = figures(scored_records(task, lambda case, number: case.sample["answer"]), task)
    assert knowing[key].estimate


def test_formats_list_the_options_and_leave_the_bare_question_outside(public_copy):
    task = formats.ARC_FORMATS
    cases = list(task.cases(task.data(Inputs())))
    assert len({case.request.context for case in cases}) == 12 * 9
    assert all("b" in case.request.context for case in cases if case.variant)
    found = figures(scored_records(task, lambda case, number: number % 4), task)
    assert "right_option.variant.original" not in found
    assert found["right_option"].n == 12 * 8


def test_our_own_questions_give_nothing_away():
    samples = language.EVERYDAY.data(Inputs())
    places = Counter(sample["answer"] for sample in samples)
    assert max(places.values()) - min(places.values()) <= 1
    longest = sum(len(s["choices"][s["answer"]]) == max(map(len, s["choices"])) for s in samples)
    assert longest / len(samples) < 0.4
    assert all(len(set(sample["choices"])) == formats.CHOICES for sample in samples)


def test_our_own_questions_are_asked_in_every_order_without_public_copies(monkeypatch):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    task = formats.EVERYDAY_ORDER
    first = figures(scored_records(task, lambda case, number: 0), task)
    assert first["right_option"].estimate.value == pytest.approx(0.25)
    assert first["consistency"].why_not


@pytest.mark.skipif(public_data() is None, reason="needs local copies of public sets")
def test_the_real_copies_can_be_asked():
    for task in (pararel.TASK, formats.ARC_FORMATS, formats.ARC_ORDER):
        cases = list(task.cases(task.data(Inputs())[:5]))
        assert {len(case.request.options) for case in cases} <= {4, 5}
