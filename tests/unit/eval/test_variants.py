import random
import re

import pytest

from eval.task import Task
from eval.tasks.robustness import FORMATS, VARIANTS
from eval.variants import find_variant, variant_makers
from eval.variants.formats import formats, formatted
from eval.variants.noise import courtesy, fillers, typos
from eval.variants.setting import both, choice_order, system
from eval.variants.surface import case, layout, punctuation
from eval.variants.wording import frames, reword
from prompts.library import persona
from serving.errors import UserError

SAMPLE = {
    "id": "1",
    "question": "Please tell me, what is the capital city of the Republic of the Congo?",
    "entity": "the Republic of the Congo",
    "subject": "country",
    "relation": "capital",
}


def applied(variant, sample=SAMPLE, seed=0):
    return variant.apply(dict(sample), random.Random(seed))


def question(variant, sample=SAMPLE, seed=0):
    return applied(variant, sample, seed)["question"]


@pytest.mark.parametrize("variant", [*VARIANTS, *FORMATS], ids=lambda variant: variant.name)
def test_every_variant_keeps_the_sample_and_repeats_itself(variant):
    changed = applied(variant)
    assert changed == applied(variant)
    assert changed != SAMPLE
    assert {key: changed[key] for key in ("id", "entity")} == {key: SAMPLE[key] for key in ("id", "entity")}


@pytest.mark.parametrize("variant", [*VARIANTS, *FORMATS], ids=lambda variant: variant.name)
def test_no_variant_changes_the_name_but_by_its_case(variant):
    for seed in range(20):
        changed = " ".join(question(variant, seed=seed).split())
        assert "republic of the congo" in changed.lower()


def test_names_of_variants_are_keys_without_blanks_and_differ():
    names = [variant.name for variant in (*VARIANTS, *FORMATS)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w.+-]+", name) for name in names)


def test_the_questions_of_a_task_are_the_same_whenever_they_are_made():
    task = Task(name="t", data=lambda inputs: [], scores=(), variants=(typos(0.1), fillers(2), courtesy("rude")))
    first, second = (
        [case.request for case in task.cases([SAMPLE, SAMPLE | {"id": "2"}])],
        [case.request for case in task.cases([SAMPLE | {"id": "2"}])],
    )
    assert first[4:] == second


def test_typos_hit_the_share_they_are_told_to():
    sample = {"id": "1", "question": "something " * 50}
    changed = question(typos(0.1), sample).split()
    # 8 letters a word may be hit, so 400: 40 slips, some in one word.
    assert 25 <= sum(word != "something" for word in changed) <= 40


def test_typos_leave_short_words_capitals_and_numbers_alone():
    assert applied(typos(1.0), {"id": "1", "question": "Is it 1984 or NASA?"}) is None


def test_a_typo_never_changes_the_first_letter():
    sample = {"id": "1", "question": "wonderful morning everybody"}
    for seed in range(50):
        assert [word[0] for word in question(typos(0.3), sample, seed).split()] == ["w", "m", "e"]


def test_cases():
    sample = {"id": "1", "question": "What's the capital of Côte d'Ivoire?"}
    assert question(case("upper"), sample) == "WHAT'S THE CAPITAL OF CÔTE D'IVOIRE?"
    assert question(case("lower"), sample) == "what's the capital of côte d'ivoire?"
    assert question(case("title"), sample).startswith("What's The Capital Of Côte")
    assert applied(case("lower"), {"id": "1", "question": "all small"}) is None


def test_punctuation():
    sample = {"id": "1", "question": "Well, who wrote 3.5 lines about Dr. No?", "entity": "Dr. No"}
    assert question(punctuation("dropped"), sample) == "Well who wrote 3.5 lines about Dr. No"
    assert question(punctuation("doubled"), sample) == "Well, who wrote 3.5 lines about Dr. No??"
    assert question(punctuation("added"), sample) == "Well, who wrote 3.5 lines about Dr. No?!!"
    assert applied(punctuation("dropped"), {"id": "1", "question": "no marks"}) is None


@pytest.mark.parametrize("kind", ["blanks", "lines"])
def test_layout_changes_nothing_but_white_space(kind):
    changed = question(layout(kind))
    assert changed.split() == SAMPLE["question"].split()
    assert changed != SAMPLE["question"]


def test_fillers_stand_between_words():
    changed = question(fillers(2))
    kept = iter(changed.split())
    assert all(word in kept for word in SAMPLE["question"].split())
    assert len(changed.split()) > len(SAMPLE["question"].split())


def test_courtesy_stands_around_the_whole_question():
    assert question(courtesy("before")).endswith(f" {SAMPLE['question']}")
    assert question(courtesy("rude")).endswith(f" {SAMPLE['question']}")
    assert question(courtesy("after")).startswith(f"{SAMPLE['question']} ")


def test_rewordings_are_the_samples_own_or_those_of_its_relation():
    assert question(reword(3)) == "I need the capital for the Republic of the Congo, please. What is it called?"
    own = SAMPLE | {"rewordings": ["Its capital?"]}
    assert question(reword(1), own) == "Its capital?"
    assert applied(reword(2), own) is None
    assert applied(reword(1), {"id": "1", "question": "Hello?"}) is None


def test_every_relation_has_four_rewordings_that_name_the_thing():
    relations = [asked for by_relation in frames("almanac").values() for asked in by_relation.values()]
    assert len(relations) >= 25
    for asked in relations:
        assert len(set(asked)) == 4
        assert all(frame.count("{e}") == 1 for frame in asked)


def test_no_rewording_is_one_that_training_uses():
    from training.corpus.almanac.wordings import read

    def plain(frame):
        return re.sub(r"\W+", " ", frame).strip().lower()

    for subject, by_relation in frames("almanac").items():
        for relation, asked in by_relation.items():
            trained = set(map(plain, read("relations")[subject][relation]["ask"]))
            assert trained.isdisjoint(map(plain, asked))


def test_system_prompts_replace_the_persona_or_leave_it_out():
    task = Task(name="t", data=lambda inputs: [], scores=(), variants=(system("plain"), system("none")))
    sent = {case.variant: case.request.body["messages"] for case in task.cases([SAMPLE])}
    assert sent[""][0]["content"] == persona()
    assert sent["system-plain"][0]["content"] == persona("plain")
    assert [message["role"] for message in sent["system-none"]] == ["user"]


def test_options_move_and_the_right_one_with_them():
    sample = {"id": "1", "question": "?", "choices": ["a", "b", "c", "d"], "answer": 3}
    for steps in range(1, 4):
        moved = applied(choice_order(steps), sample)
        assert sorted(moved["choices"]) == sample["choices"]
        assert moved["choices"] != sample["choices"]
        assert moved["choices"][moved["answer"]] == "d"
    assert applied(choice_order(4), sample) is None
    assert applied(choice_order(1)) is None


def test_formats_are_many_differ_and_hold_question_and_options():
    options = ["red", "green"]
    rendered = {layout.render("Which colour?", options) for layout in formats()}
    assert len(rendered) == len(formats()) > 1000
    assert all("Which colour?" in text and "red" in text and "green" in text for text in rendered)


def test_a_format_without_options_does_not_name_them():
    assert "options" not in question(formatted(1)).lower()


def test_both_does_one_after_the_other():
    sample = {"id": "1", "question": "Which?", "choices": ["a", "b"], "answer": 0}
    changed = applied(both(choice_order(1), formatted(1)), sample)
    assert changed["question"].index("b") < changed["question"].index(" a")
    assert changed["answer"] == 1


def test_variants_are_found_without_a_list_and_can_be_made_as_they_come():
    makers = variant_makers()
    assert {"typos", "case", "reword", "formatted", "system", "choice_order"} <= makers.keys()
    assert "both" not in makers
    assert len({make().name for make in makers.values()}) == len(makers)


def test_an_unknown_variant_names_the_known_ones():
    with pytest.raises(UserError, match=r"no variant 'tpyos': name one of case, .*typos"):
        find_variant("tpyos")


@pytest.mark.parametrize(
    "wrong", [("typos", 0), ("typos", 1.5), ("fillers", 0), ("reword", 0), ("formatted", 10**9), ("courtesy", "loud")]
)
def test_a_wrong_argument_is_one_sentence(wrong):
    with pytest.raises(UserError, match=rf"^{wrong[0]} takes [^\n]*\.$"):
        find_variant(*wrong)
