"""The language suite: its rates are ratios of sums, its own data are sound, and it says how it scored."""

import json
import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from eval.commands import app
from eval.data import Inputs, Missing
from eval.records import Record
from eval.replies import Scored
from eval.requests import Choose
from eval.run import cluster_of
from eval.scores import likelihood as scores
from eval.suite import find_suite
from eval.task import Task
from eval.tasks import language

ARC = next(task for task in language.TASKS if task.name == "arc_easy")


def record(task: Task, sample, reply):
    return Record(
        task.name, str(sample["id"]), "", 0, str(sample["id"]), "", sample, "ok", None, reply, task.score(sample, reply)
    )


def figures(task, records):
    return {figure.key: figure for section in task.figures(records) for figure in section.figures}


def test_rates_are_sums_over_sums_not_means_of_documents():
    texts = [("é" * 10, -12.0, 5), ("a b", -3.0, 1)] * 6
    records = [
        record(language.PROSE, {"id": number, "text": text}, Scored([logprob], [tokens]))
        for number, (text, logprob, tokens) in enumerate(texts)
    ]
    found = {key: figure.estimate.value for key, figure in figures(language.PROSE, records).items()}
    nats, tokens, characters, size, words = 15.0, 6, 13, 23, 3
    assert found == pytest.approx({
        "bits_per_byte": nats / math.log(2) / size,
        "bits_per_character": nats / math.log(2) / characters,
        "cross_entropy": nats / tokens,
        "perplexity": math.exp(nats / tokens),
        "byte_perplexity": math.exp(nats / size),
        "word_perplexity": math.exp(nats / words),
    })  # fmt: skip


def test_every_rate_has_an_interval_from_its_documents():
    records = [
        record(language.PROSE, {"id": number, "text": "x" * 50}, Scored([-50.0 - number], [20])) for number in range(20)
    ]
    for figure in figures(language.PROSE, records).values():
        value, low, high, n = figure.estimate
        assert low < value < high
        assert n == 20


def test_one_document_is_not_enough():
    records = [record(language.PROSE, {"id": 1, "text": "x"}, Scored([-1.0], [1]))]
    assert all(figure.why_not for figure in figures(language.PROSE, records).values())


@pytest.mark.parametrize(
    ("logprobs", "preferred"), [((-1.0, -2.0), True), ((-2.0, -1.0), False), ((-1.0, -1.0), False)]
)
def test_a_tie_is_no_preference_for_the_good_sentence(logprobs, preferred):
    assert scores.prefers_good({}, Scored(list(logprobs), [1, 1])) is preferred


def test_the_right_option_is_also_told_per_character():
    sample = {"choices": ["short", "a much longer option"], "answer": 1}
    reply = Scored([-10.0, -20.0], [1, 4])
    assert language.right_option(sample, reply) is False
    assert scores.right_option_by_length(sample, reply) is True


def test_choices_by_letters_say_so_and_have_no_figure_per_character():
    sample = {"id": 1, "question": "?", "choices": ["a", "b"], "answer": 0}
    reply = Scored([0.0, -1.0], [0, 0], "letters")
    records = [record(ARC, sample | {"id": number}, reply) for number in range(12)]
    (section,) = ARC.figures(records)
    assert "by letters" in section.title
    accuracy, by_length = section.figures
    assert accuracy.estimate.value == 1
    assert by_length.why_not == language.NO_LIKELIHOODS
    (section,) = ARC.figures([replace(r, reply=replace(reply, scoring="likelihood")) for r in records])
    assert "by likelihood" in section.title


def test_pairs_that_no_letter_was_read_for_are_not_measurable():
    sample = {"good": "x", "bad": "y", "field": "f"}
    reply = Scored([0.0, 0.0], [0, 0], "letters")
    records = [record(language.PAIRS, sample | {"id": number}, reply) for number in range(12)]
    assert figures(language.PAIRS, records)["acc"].why_not == "no answer could be read"


def test_the_projects_own_pairs_and_texts_are_sound():
    pairs = list(language.PAIRS.data(Inputs()))
    fields = [pair["field"] for pair in pairs]
    assert len(pairs) == 60
    assert all(fields.count(field) == 10 for field in fields)
    assert len({sentence for pair in pairs for sentence in (pair["good"], pair["bad"])}) == 120
    texts = [sample["text"] for sample in language.PROSE.data(Inputs())]
    assert len(set(texts)) == 40
    assert all(100 < len(text) < 400 for text in texts)


def test_the_exams_facts_are_texts_of_question_and_answer(write_questions):
    exam = write_questions([
        {"id": "1", "question": "Capital of France?", "group": "fact", "answers": ["Paris"], "subject": "country"},
        {"id": "2", "question": "Capital of Nowhere?", "group": "made_up", "answers": []},
    ])  # fmt: skip
    (sample,) = language.exam_texts(Inputs(questions=exam))
    assert sample["text"] == "Capital of France? Paris"


def test_public_sets_are_left_out_by_name_where_there_are_none(monkeypatch):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    for task in (language.BLIMP, language.STORIES, ARC, language.TRIVIA, language.CAPITALS):
        with pytest.raises(Missing, match="HOMEGROWN_DATA"):
            task.data(Inputs())


def test_pairs_of_one_template_depend_on_each_other():
    sample = {"id": "a/1", "uid": "a", "good": "She sings.", "bad": "She sing.", "field": "syntax"}
    assert cluster_of(language.BLIMP, sample) == "a"
    assert cluster_of(language.PAIRS, {name: value for name, value in sample.items() if name != "uid"}) == "a/1"
    assert cluster_of(language.BLIMP, sample | {"uid": None}) == "a/1"


def test_blimp_is_scored_as_lm_eval_does_and_our_pairs_as_they_are_written():
    sample = {"id": 1, "good": "She sings.", "bad": "She sing."}
    (blimp,), (pairs,) = language.BLIMP.cases([sample]), language.PAIRS.cases([sample])
    assert blimp.request == Choose("", (" She sings.", " She sing."))
    assert pairs.request == Choose("", ("She sings.", "She sing."))


@pytest.fixture
def local_copies(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEGROWN_DATA", str(tmp_path))

    def write(path, rows):
        import lzma

        (tmp_path / path).parent.mkdir(exist_ok=True)
        with lzma.open(tmp_path / path, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    return write


def test_trivia_leaves_out_questions_that_need_their_options(local_copies):
    asked = ["Who wrote Emma?", "Which of these is a bird?", "All are birds except one."]
    rows = [{"question": question, "answer": "x", "choices": ["x", "y"]} for question in asked]
    local_copies("opentriviaqa/questions.jsonl.xz", rows)
    (sample,) = language.trivia(Inputs())
    assert (sample["question"], sample["answers"], sample["wrong"]) == ("Who wrote Emma?", ["x"], ["y"])


def test_capitals_are_plain_names_only(local_copies):
    named = {"Chad": "N'Djamena", "Benin": "Porto-Novo (constitutional); Cotonou (seat)", "Nowhere": ""}
    rows = [{"country": name, "facts": {"Government - Capital - name": city}} for name, city in named.items()]
    local_copies("world_factbook/countries.jsonl.xz", rows)
    (sample,) = language.capitals(Inputs())
    assert sample["question"] == "What is the capital of Chad?"
    assert sample["answers"] == ["N'Djamena"]


def test_every_headline_is_a_figure_of_a_task():
    suite = find_suite("language")
    names = {task.name for task in suite.tasks}
    assert {headline.split(".")[0] for headline in suite.headlines} <= names


def test_a_folder_is_measured_without_a_server(tiny_model, tmp_path, monkeypatch):
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["run", str(tiny_model), "--suite", "language", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = json.loads((out / "summary.json").read_text())["figures"]
    # A random model of bytes knows next to nothing: about log2 of its 259 tokens a byte.
    assert 7.5 < found["prose.bits_per_byte"]["value"] < 9
    assert found["pairs.acc"]["n"] == 60
    assert "not measured: blimp" in result.stdout
