import json
import math

import pytest

from eval.data import Inputs
from eval.declared import read_suite
from eval.replies import Answer, Scored
from eval.run import plan
from eval.scores.facts import right
from eval.scores.likelihood import bits_per_byte, right_option_by_length
from serving.errors import UserError

ROW = {"id": "fr", "question": "What is the capital of France?", "entity": "France", "answers": ["Paris"]}
TASK = {"name": "capitals", "data": "capitals.jsonl", "scores": ["right"]}


@pytest.fixture
def declare(tmp_path):
    """Write a suite of one task, and its data; returns the path of the YAML file (JSON is YAML)."""

    def write(task=None, rows=(ROW,), **suite):
        (tmp_path / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        path = tmp_path / "ours.yaml"
        path.write_text(json.dumps({"name": "ours", "tasks": [TASK | (task or {})]} | suite))
        return path

    return write


def complaint(path):
    with pytest.raises(UserError) as error:
        plan(read_suite(path), Inputs())
    message = str(error.value)
    assert "\n" not in message
    return message


def questions(path):
    return {
        case.variant: case.request.body["messages"][-1]["content"] for case in plan(read_suite(path), Inputs()).cases
    }


def test_a_suite_asks_its_questions_in_every_variant(declare):
    path = declare({"prompt": "Quiz. {question}", "variants": [{"case": "upper"}, "punctuation", {"typos": 0.2}]})
    asked = questions(path)
    assert asked[""] == "Quiz. What is the capital of France?"
    assert asked["case-upper"] == "Quiz. WHAT IS THE CAPITAL OF FRANCE?"
    assert asked["punctuation-dropped"] == "Quiz. What is the capital of France"
    assert asked["typos-0.2"] != asked[""]
    assert asked["typos-0.2"].endswith("France?")


def test_a_variant_takes_named_arguments(declare):
    assert "case-title" in questions(declare({"variants": [{"case": {"kind": "title"}}]}))


def test_the_other_fields_reach_the_request(declare):
    task = {"max_tokens": 7, "temperature": 0.5, "repeats": 2}
    cases = plan(read_suite(declare(task)), Inputs()).cases
    assert [case.request.body["seed"] for case in cases] == [0, 1]
    assert {(case.request.body["max_tokens"], case.request.body["temperature"]) for case in cases} == {(7, 0.5)}


def test_lines_without_an_id_are_numbered(declare):
    row = {key: value for key, value in ROW.items() if key != "id"}
    cases = plan(read_suite(declare(rows=[row, row])), Inputs()).cases
    assert [case.sample["id"] for case in cases] == ["1", "2"]


def test_options_are_chosen_from(declare):
    row = {"question": "France:", "choices": ["Paris", "Rome"], "answer": 0}
    (case,) = plan(read_suite(declare({"kind": "choose", "scores": ["right_option"]}, [row])), Inputs()).cases
    assert (case.request.context, case.request.options) == ("France:", (" Paris", " Rome"))


def test_an_unknown_key_is_named_with_the_known_ones(declare):
    message = complaint(declare({"promt": "x"}))
    assert "tasks.0.promt is no key that is known" in message
    assert "prompt" in message
    assert "headlines" in complaint(declare(headline=["x"]))


def test_a_missing_key_is_named(declare, tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text("name: ours\ntasks: [{name: capitals, data: x.jsonl}]")
    assert "tasks.0.scores is missing" in complaint(path)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"scores": ["rihgt"]}, "There is no score 'rihgt'"),
        ({"variants": ["typoes"]}, "There is no variant 'typoes': name one of"),
        ({"variants": [{"case": "sideways"}]}, "'upper', 'lower' or 'title'"),
        ({"variants": [{"typos": "many"}]}, "valid number"),
        ({"variants": [{"typos": 2}]}, "at most 1, not 2"),
        ({"variants": [{"typos": {"speed": 2}}]}, "typos(rate: float = 0.05)"),
        ({"variants": [{"typos": {1: 2}}]}, "typos(rate: float = 0.05)"),
        ({"variants": [{"typos": 0.1, "case": "upper"}]}, "not 2 names together"),
        ({"variants": [{"system": "nobody"}]}, "There is no system prompt 'nobody'"),
        ({"variants": "typos"}, "tasks.0.variants: Input should be a valid list"),
        ({"max_tokens": "few"}, "tasks.0.max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "tasks.0.max_tokens: Input should be greater than or equal to 1"),
        ({"kind": "guess"}, "tasks.0.kind: Input should be 'generate', 'choose' or 'likelihood'"),
        ({"scores": []}, "tasks.0.scores: List should have at least 1 item"),
        ({"name": "two words"}, "tasks.0.name: String should match"),
        ({"prompt": "{}"}, "tasks.0.prompt: name the field"),
        ({"prompt": "{question"}, "tasks.0.prompt: "),
        ({"kind": "choose"}, "The score right is for replies of the kind Answer, not for a task that is choose"),
        ({"scores": ["right_option"]}, "The score right_option is for replies of the kind Scored"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(declare, task, said):
    message = complaint(declare(task))
    assert "ours.yaml cannot be used: " in message
    assert said in message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "x", "answers": ["Paris"]}, "capitals.jsonl:2 has no 'question', which the task capitals names"),
        ({"id": "x", "question": "Capital?"}, "capitals.jsonl:2 has no 'answers', which the score right needs"),
    ],
)
def test_a_line_that_lacks_a_field_is_named_before_anything_is_asked(declare, row, said):
    assert said in complaint(declare(rows=[ROW, row]))


def test_a_cluster_that_no_line_has_is_missed(declare):
    assert "has no 'country', which the task capitals names" in complaint(declare({"cluster": "country"}))


def test_a_field_that_only_a_variant_needs_is_missed_too(declare):
    path = declare({"prompt": "{ask}", "variants": [{"case": "upper"}]}, [{"ask": "Capital?", "answers": ["Paris"]}])
    assert "has no 'question', which the variant case-upper needs" in complaint(path)


def test_two_tasks_cannot_share_a_name(declare):
    assert "tasks: two tasks are called 'capitals'" in complaint(declare(tasks=[TASK, TASK]))


def test_a_missing_data_file_is_named(declare):
    path = declare({"data": "elsewhere.jsonl"})
    assert "elsewhere.jsonl: check its name" in complaint(path)


def test_a_missing_suite_is_named(tmp_path):
    assert complaint(tmp_path / "no.yaml").startswith("There is no suite file")


@pytest.mark.parametrize("content", [b"tasks: [", b"\xff\xfe\x00", b"", b"- a list"])
def test_what_is_no_suite_at_all_is_said(tmp_path, content):
    path = tmp_path / "ours.yaml"
    path.write_bytes(content)
    assert str(path) in complaint(path)


def samples(path):
    return [case.sample for case in plan(read_suite(path), Inputs()).cases]


def test_one_answer_that_is_no_list_is_a_list_of_one(declare, tmp_path):
    assert samples(declare(rows=[ROW | {"answers": "Paris"}]))[0]["answers"] == ["Paris"]
    path = declare({"data": "capitals.csv"})
    (tmp_path / "capitals.csv").write_text('question,answers\n"Capital of France, please?",Paris\n')
    (sample,) = samples(path)
    assert sample == {"id": "1", "question": "Capital of France, please?", "answers": ["Paris"]}
    assert right(sample, Answer("It is Paris."))
    assert not right(sample, Answer("I like a s."))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Capital of France, please?,Paris", "capitals.csv:3 has more cells than the first line"),
        ("Capital of France?", "capitals.csv:3 has fewer cells than the first line"),
    ],
)
def test_a_row_of_a_table_that_is_too_long_or_short_is_named(declare, tmp_path, line, said):
    path = declare({"data": "capitals.csv"})
    (tmp_path / "capitals.csv").write_text(f"question,answers\nCapital of Spain?,Madrid\n{line}\n")
    assert said in complaint(path)


def test_scores_find_the_text_and_the_options_whatever_the_data_call_them(declare):
    path = declare({"kind": "likelihood", "text": "body", "scores": ["bits_per_byte"]}, [{"body": "Some text."}])
    (case,) = plan(read_suite(path), Inputs()).cases
    assert case.request.text == "Some text."
    assert bits_per_byte(case.sample, Scored([-10 * math.log(2)], [3])) == pytest.approx(1)
    row = {"question": "France:", "options": ["Paris", "Rome"], "answer": 0}
    scores = ["right_option", "right_option_by_length"]
    (case,) = plan(
        read_suite(declare({"kind": "choose", "choices": "options", "scores": scores}, [row])), Inputs()
    ).cases
    assert case.request.options == (" Paris", " Rome")
    assert right_option_by_length(case.sample, Scored([-5, -5], [1, 1]))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"choices": "Paris"}, "has other 'choices' than a list of two or more texts"),
        ({"choices": ["Paris"]}, "has other 'choices' than a list of two or more texts"),
        ({"choices": [1, 2]}, "has other 'choices' than a list of two or more texts"),
        ({"answer": "Paris"}, "has the 'answer' 'Paris': give the place of the right option"),
        ({"answer": 2}, "has the 'answer' 2: give the place of the right option"),
    ],
)
def test_options_that_could_never_be_right_are_refused(declare, changed, said):
    row = {"question": "France:", "choices": ["Paris", "Rome"], "answer": 0} | changed
    assert said in complaint(declare({"kind": "choose", "scores": ["right_option"]}, [row]))


def test_a_row_that_a_score_cannot_read_is_named(declare):
    assert "capitals.jsonl:1 is nothing for the score right (TypeError" in complaint(
        declare(rows=[ROW | {"answers": 3}])
    )


def test_a_row_may_bring_its_messages_instead_of_what_the_prompt_names(declare):
    messages = [{"role": "user", "content": "The capital of France?"}]
    path = declare(rows=[{"messages": messages, "answers": ["Paris"]}])
    assert questions(path) == {"": "The capital of France?"}
    for wrong in ("The capital?", ["The capital?"], [{"content": "The capital?"}]):
        assert "capitals.jsonl:1 has 'messages' that are no list" in complaint(
            declare(rows=[ROW | {"messages": wrong}])
        )


def test_a_score_that_has_no_mean_is_refused(declare):
    message = complaint(declare({"scores": ["fact_outcome"]}))
    assert "The score fact_outcome names an outcome, which has no mean" in message


def test_a_headline_that_no_figure_is_called_is_named_with_the_nearest(declare):
    assert "no figure 'capitals.rihgt': did you mean capitals.right?" in complaint(
        declare(headlines=["capitals.rihgt"])
    )
    known = ["capitals.right", "capitals.right.variant.original", "capitals.right.variant.case-upper"]
    assert list(read_suite(declare({"variants": [{"case": "upper"}]}, headlines=known)).headlines) == known


def test_similarity_can_be_named(declare):
    path = declare({"scores": ["similarity"]})
    assert samples(path)[0]["answers"] == ["Paris"]
    assert "has no 'answers', which the score similarity needs" in complaint(
        declare({"scores": ["similarity"]}, [{"question": "Capital?"}])
    )
