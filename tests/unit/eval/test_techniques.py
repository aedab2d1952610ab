"""Prompting techniques as files, ours and a user's own, and the passages that some of them put into a prompt."""

import json

import pytest

from eval.prompting.passages import MOST_WORDS, Passages, read_passages
from eval.prompting.technique import MOST_EXAMPLES, OURS, REFERENCE, read_techniques
from serving.errors import UserError

GOOD = "title: Mine\nmessages:\n  - user: '{{ question }}'\n"
TEXTS = (
    "Copper is a metal that conducts heat.",
    "The liver stores iron and copper.",
    "A kite is a quadrilateral with two pairs of equal sides.",
)


@pytest.fixture
def write(tmp_path):
    """Write a prompt file, and read the folder."""

    def read(text, name="mine.yaml"):
        (tmp_path / name).write_text(text)
        return {technique.name: technique for technique in read_techniques(tmp_path)}

    return read


def test_ours_say_what_they_are_and_where_they_come_from():
    techniques = read_techniques()
    assert techniques[0].name == REFERENCE
    assert len({technique.title for technique in techniques}) == len(techniques) == len(list(OURS.glob("*.yaml")))
    for technique in techniques:
        assert technique.about
        assert technique.source
        last = technique.render("S", "Which?", [("a", "b")], ["p"])[-1]
        assert last["role"] == "user"
        assert "Which?" in last["content"]


def test_ours_hold_what_the_suite_promises():
    by_name = {technique.name: technique for technique in read_techniques()}
    assert {by_name[f"few_shot_{k}"].examples for k in (1, 3)} == {1, 3}
    assert by_name["step_by_step"].answer_after in by_name["step_by_step"].messages[-1]["user"]
    assert by_name["self_consistency"].samples > 1
    assert by_name["retrieval"].passages
    assert by_name["few_shot_unknown"].unknown_examples


def test_examples_stand_as_turns_before_the_question(write):
    few = write(
        "title: Few\nexamples: 2\nmessages:\n  - system: '{{ system }}'\n  - examples:\n"
        "      - user: '{{ question }}'\n      - assistant: '{{ answer }}'\n  - user: '{{ question }}'\n"
    )["mine"]
    turns = few.render("Be kind.", "C?", [("A?", "a"), ("B?", "b")])
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn["content"] for turn in turns] == ["Be kind.", "A?", "a", "B?", "b", "C?"]


def test_a_system_prompt_that_is_left_out_is_no_message():
    zero_shot = read_techniques()[0]
    assert zero_shot.render("", "Q?") == [{"role": "user", "content": "Q?"}]


def test_what_a_question_says_is_no_template():
    assert read_techniques()[0].render("", "{{ 7 * 7 }}?")[-1]["content"] == "{{ 7 * 7 }}?"


def test_zero_shot_is_ours_unless_the_folder_has_one(write):
    assert list(write(GOOD)) == [REFERENCE, "mine"]
    own = write(GOOD.replace("Mine", "My own plain"), f"{REFERENCE}.yaml")
    assert own[REFERENCE].title == "My own plain"
    assert list(own) == [REFERENCE, "mine"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (GOOD.replace("title: Mine\n", ""), "title is missing"),
        (GOOD + "titel: x\n", "titel is no key that is known"),
        (GOOD.replace("question", "quesiton"), "messages: 0.user: there is no {{ quesiton }}"),
        (GOOD.replace("{{ question }}", "{{ question"), "messages: 0.user is no Jinja template"),
        (GOOD.replace("{{ question }}", "Answer!"), "messages: the last one must be the user's"),
        (GOOD.replace("user", "human"), "messages: 0 must be one of system, user"),
        (GOOD.replace("'{{ question }}'", "[1]"), "messages: 0.user must be a text"),
        (GOOD.replace("{{ question }}", "{{ question.no.such }}"), "messages: 0.user cannot be filled in"),
        (GOOD + "examples: 3\n", "examples: say how many, and use them"),
        (GOOD + f"examples: {MOST_EXAMPLES + 1}\n", "examples: Input should be less than"),
        (GOOD.replace("{{", "{{ passages[0] }} {{") + "passages: 2\n", "messages: 0.user cannot be filled in"),
        (GOOD + "passages: 2\n", "passages: say how many, and use them"),
        (GOOD + "samples: 5\n", "temperature: several samples"),
        ("- a list", "it must hold keys and values"),
        ("title: [", "cannot be read"),
    ],
)
def test_a_bad_file_is_one_sentence_that_names_file_and_key(write, text, key):
    with pytest.raises(UserError) as raised:
        write(text)
    assert "mine.yaml" in str(raised.value)
    assert key in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_empty_folder_is_no_folder_of_prompts(tmp_path):
    with pytest.raises(UserError, match="no prompts"):
        read_techniques(tmp_path)


def test_a_template_reaches_nothing_of_the_program(write):
    with pytest.raises(UserError, match=r"mine.yaml.*0.user"):
        write(GOOD.replace("{{ question }}", "{{ question }}{{ question.__class__.__mro__ }}"))


def test_passages_are_ranked_by_rare_words():
    passages = Passages(TEXTS)
    assert passages.best("Which organ stores copper?", 2) == [TEXTS[1], TEXTS[0]]
    assert passages.best("How many sides has a kite?", 1) == [TEXTS[2]]
    assert passages.best("zzz", 3) == []


def test_more_of_a_term_and_a_shorter_passage_rank_higher():
    assert Passages(["red blue green", "red red blue"]).best("red", 2) == ["red red blue", "red blue green"]
    assert Passages(["red " + "grey " * 50, "red blue"]).best("red", 1) == ["red blue"]


def test_documents_are_lines_or_paragraphs(tmp_path):
    lines, prose = tmp_path / "texts.jsonl", tmp_path / "notes.md"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    prose.write_text("\n\n".join(TEXTS))
    assert read_passages(lines).texts == read_passages(prose).texts == list(TEXTS)
    prose.write_text(" ".join(map(str, range(300))))
    assert [len(text.split()) for text in read_passages(prose).texts] == [MOST_WORDS, MOST_WORDS, 300 - 2 * MOST_WORDS]


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", '{"body": "x"}\n'), ("a.txt", " \n\n "), ("b.txt", None)])
def test_documents_that_hold_nothing_are_one_sentence(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name):
        read_passages(tmp_path / name)
