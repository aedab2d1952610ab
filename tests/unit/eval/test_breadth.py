"""Breadth: examples come from other rows than the questions, and what needs no model stands beside accuracy."""

import gzip
import io
import json
import lzma
import zipfile

import pytest

from eval.data import Inputs
from eval.records import Record
from eval.replies import Answer, Scored
from eval.scores.numbers import right_number
from eval.suite import find_suite
from eval.tasks import breadth

SETS = {labelled.name: labelled for labelled in breadth.SETS}
RTE = '<pair id="{n}" entailment="{said}" task="IE">\n<t>{text}</t>\n<h>{hypothesis}</h>\n</pair>\n'
RTE_1 = RTE.replace('entailment="{said}"', 'value="{said}"')


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """A few rows of every set, in the shape of the public ones."""
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))
    for folder in ("mmlu", "multiple_choice_qa", "nltk_corpora", "msrp", "math_word_problems"):
        (tmp_path / folder).mkdir()
    for name, count, opened in (("test.jsonl.xz", 4, lzma.open), ("dev.jsonl.gz", 5, gzip.open)):
        questions = [
            {"subject": subject, "question": f"{name} {subject} {n}?", "choices": ["w", "x", "y", "z"], "answer": n % 4}
            for subject in ("law", "logic")
            for n in range(count)
        ]
        write(tmp_path / "mmlu" / name, questions, opened)
    for split in ("train", "test"):
        rows = [{"question": f"is {split} {n} so?", "answer": n % 3 > 0} for n in range(30)]
        write(tmp_path / "multiple_choice_qa" / f"boolq_closed_book_{split}.jsonl.gz", rows)
    pairs = [
        RTE.format(n=n, said="YES" if n % 2 else "NO", text=f"Text {n // 3}.", hypothesis=f"H{n}.") for n in range(9)
    ]
    older = [RTE_1.format(n=n, said="TRUE", text="T.", hypothesis="H.") for n in range(2)]
    archive(
        tmp_path / "nltk_corpora" / "rte.zip",
        {f"rte/rte3_{s}.xml": "".join(pairs) for s in ("dev", "test")} | {"rte/rte1_test.xml": "".join(older)},
    )
    reviews = {
        f"sentence_polarity/rt-polarity.{k}": "".join(f"café {k} {n} .\n" for n in range(120)) for k in ("neg", "pos")
    }
    archive(tmp_path / "nltk_corpora" / "sentence_polarity.zip", reviews)
    for name in breadth.SUMS:
        write(tmp_path / "math_word_problems" / f"{name}.jsonl.gz", [{"question": "1 and 1?", "answer": 2}] * 3)


def write(path, rows, opened=gzip.open):
    with opened(path, "wt") as written:
        written.write("".join(json.dumps(row) + "\n" for row in rows))


def archive(path, files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text.encode("latin-1"))
    path.write_bytes(content.getvalue())


def cases(name):
    return list(SETS[name].task.cases(SETS[name].samples(Inputs())))


def test_mmlu_shows_five_questions_of_the_same_subject_with_their_letters():
    plain, shown = cases("mmlu")[:2]
    assert plain.request.context == "test.jsonl.xz law 0?\nA. w\nB. x\nC. y\nD. z\nAnswer:"
    assert plain.request.options == (" A", " B", " C", " D")
    assert shown.variant == breadth.EXAMPLES
    assert shown.request.context.endswith(f"\n\n{plain.request.context}")
    assert shown.request.context.count("dev.jsonl.gz law") == 5
    assert "logic" not in shown.request.context
    assert "dev.jsonl.gz law 3?\nA. w\nB. x\nC. y\nD. z\nAnswer: D\n\n" in shown.request.context


def test_examples_have_every_label_as_often():
    shown = next(case for case in cases("boolq") if case.variant)
    assert shown.request.context.count("Answer: yes") == shown.request.context.count("Answer: no") == 2
    assert shown.request.context.count("is train") == 4


def test_reviews_that_may_be_shown_are_not_asked_about():
    asked = cases("polarity")
    shown = next(case for case in asked if case.variant).request.context.rsplit("\n\n", 1)[0]
    texts = {case.sample["text"] for case in asked}
    assert len(texts) == 40
    assert not any(f": {text}\n" in shown for text in texts)
    assert "café" in shown


def test_hypotheses_of_one_text_are_one_cluster():
    samples = SETS["entailment"].samples(Inputs())
    assert [sample["answer"] for sample in samples[:4]] == [0, 1, 0, 1]
    assert len({sample["cluster"] for sample in samples}) == 3
    assert [row["label"] for row in breadth.entailment("test", challenge=1)] == [1, 1]


def test_what_examples_help_is_paired_by_question():
    labelled, records = SETS["boolq"], []
    for case in cases("boolq"):
        right = case.sample["answer"]
        said = right if case.variant else 1
        reply = Scored([0.0 if place == said else -1.0 for place in (0, 1)], [1, 1])
        place = (case.task, case.sample["id"], case.variant, 0, case.sample["id"], "", case.sample)
        records.append(Record(*place, "ok", None, reply, labelled.task.score(case.sample, reply)))
    (section,) = labelled.figures(records)
    found = {figure.key: figure.estimate.value for figure in section.figures}
    assert found == pytest.approx({"acc": 2 / 3, "acc_examples": 1, "gain": 1 / 3, "commonest": 2 / 3})


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("3 and 4 make 7. The answer is 12.", True),
        ("The answer is $12.00", True),
        ("It is 1,212", False),
        ("12 apples for 3 children", False),
        ("The answer is −12", False),
        ("I cannot tell.", None),
    ],
)
def test_the_last_number_counts(said, right):
    assert right_number({"answer": 12}, Answer(said)) is right


def test_sums_come_from_every_set():
    samples = breadth.sums(Inputs())
    assert {sample["set"] for sample in samples} == set(breadth.SUMS)
    assert len({sample["id"] for sample in samples}) == len(samples)


def test_every_headline_is_a_figure_of_its_task():
    suite = find_suite("breadth")
    tasks = {task.name: task for task in suite.tasks}
    assert len(tasks) == len(suite.tasks)
    assert {key.split(".")[0] for key in suite.headlines} <= tasks.keys()
