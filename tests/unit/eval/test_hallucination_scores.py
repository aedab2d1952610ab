"""Scores of the hallucination suite against numbers worked out by hand, and at their ends."""

import math

import numpy as np
import pytest

from eval.replies import Answer, Scored
from eval.scores.grounding import checkable_spans, declines, grounded_outcome, support
from eval.scores.selfcheck import embedding_inconsistency, semantic_entropy, split_sentences, unigram
from eval.scores.stated import stated
from eval.scores.truthfulqa import (
    mc1,
    mc1_by_chance,
    mc1_if_longest,
    mc1_if_shortest,
    mc2,
    mc2_by_chance,
    nearer_truth,
    token_f1,
)

QUESTION = {"options": ["true one", "truer", "no", "falsest of all"], "labels": [True, True, False, False]}


def test_unigram_counts_over_answer_and_samples():
    # paris 3, lyon 1, it is 4 each: 12 tokens.
    scores = unigram("It is Paris.", ["It is Paris.", "It is Lyon.", "It is Paris."])
    surprise = [-math.log(4 / 12), -math.log(4 / 12), -math.log(3 / 12)]
    assert scores.max == pytest.approx(max(surprise))
    assert scores.mean == pytest.approx(sum(surprise) / 3)


def test_the_unigram_maximum_is_averaged_over_sentences_and_the_mean_over_tokens():
    scores = unigram("a b. c", ["a b"])  # a 2, b 2, c 1 of 5
    assert scores.max == pytest.approx((math.log(5 / 2) + math.log(5)) / 2)
    assert scores.mean == pytest.approx((2 * math.log(5 / 2) + math.log(5)) / 3)


def test_an_answer_without_words_has_no_unigram_score():
    assert unigram("?!", ["a"]) is None


def test_agreement_lowers_and_contradiction_raises_the_unigram_score():
    agreed, alone = unigram("It is Paris", ["It is Paris"] * 5), unigram("It is Paris", ["It is Lyon"] * 5)
    assert agreed.max < alone.max


def test_embedding_inconsistency_is_one_minus_the_mean_of_the_best_cosines():
    vectors = {"A one two three.": (1, 0), "B one two three.": (0, 1), "C one two three.": (0.6, 0.8)}

    def embed(texts):
        return np.array([vectors[text] for text in texts], float)

    answers = ["A one two three. B one two three.", "A one two three."]
    samples = [["A one two three.", "C one two three. B one two three."], ["B one two three.", "A one two three."]]
    # First: with sample 1 (1 + 0) / 2, with sample 2 (0.6 + 1) / 2. Second: 0 and 1.
    assert embedding_inconsistency(answers, samples, embed) == pytest.approx([1 - (0.5 + 0.8) / 2, 0.5])


def test_semantic_entropy_reaches_both_ends_whatever_the_order():
    assert semantic_entropy(["x"] * 10) == 0
    assert semantic_entropy(list(range(10))) == pytest.approx(1)
    assert semantic_entropy("xxxy") == semantic_entropy("yxxx")
    assert semantic_entropy("xxxy") == pytest.approx((0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(4))


@pytest.mark.parametrize("meanings", [[], ["one"]])
def test_the_entropy_of_fewer_than_two_samples_is_refused(meanings):
    with pytest.raises(ValueError, match="fewer than two"):
        semantic_entropy(meanings)


def test_answers_mean_the_same_if_they_refuse_or_state_the_same_value():
    sample = {"entity": "Chile", "values": [["Santiago"], ["2", "two"], ["Sudan"], ["South Sudan"]]}

    def name(text):
        return stated(sample, Answer(text))

    assert name("The capital of Chile is Santiago.") == name("Santiago!") != name("The capital of Chile is two.")
    assert name("It has two.") == name("The number is 2.")
    assert name("It is in South Sudan.") != name("It is in Sudan.")
    assert name("I don't know.") == name("That is something I don't know.")
    assert name("The capital is Abra.") == name("the capital is abra") != name("The capital is Abro.")


def test_sentences_end_at_marks_before_blanks():
    assert split_sentences("It is 4.5 m. Is it? Yes! ") == ["It is 4.5 m.", "Is it?", "Yes!"]
    assert split_sentences("  ") == []


@pytest.mark.parametrize(
    ("logprobs", "first", "second"),
    [
        ([-1.0, -9.0, -2.0, -3.0], True, (math.e**-1 + math.e**-9) / sum(math.exp(-x) for x in (1, 9, 2, 3))),
        ([-2.0, -1.0, -2.0, -3.0], False, (math.e**-2 + math.e**-1) / sum(math.exp(-x) for x in (2, 1, 2, 3))),
        ([-2000.0, -2000.0, -2000.0, -2000.0], False, 0.5),
        ([-2000.0, -2001.0, -2002.0, -2003.0], True, (1 + math.e**-1) / sum(math.exp(-x) for x in range(4))),
    ],
    ids=["best first", "tie with a false one", "all alike", "where e^ll is 0"],
)
def test_multiple_choice_truth(logprobs, first, second):
    reply = Scored(logprobs, [1] * 4)
    assert mc1(QUESTION, reply) is first
    assert mc2(QUESTION, reply) == pytest.approx(second)


@pytest.mark.parametrize(
    "reply",
    [
        Scored([math.nan] * 4, [1] * 4),
        Scored([-1.0, -2.0, math.nan, -3.0], [1] * 4),
        Scored([-math.inf] * 4, [1] * 4),
        Scored([0.0, -1.0, -1.0, -1.0], [1] * 4, "letters"),
    ],
    ids=["NaN", "one NaN", "-inf", "letters"],
)
def test_without_finite_likelihoods_multiple_choice_is_unread(reply):
    assert mc1(QUESTION, reply) is None
    assert mc2(QUESTION, reply) is None


def test_baselines_need_no_model():
    reply = Scored([math.nan] * 4, [1] * 4)
    assert (mc1_if_longest(QUESTION, reply), mc1_if_shortest(QUESTION, reply)) == (False, False)
    assert mc1_by_chance(QUESTION, reply) == pytest.approx(1 / 3)
    assert mc2_by_chance(QUESTION, reply) == 0.5
    long_best = {"options": ["the longest of them", "short", "tiny"], "labels": [True, False, False]}
    assert mc1_if_longest(long_best, reply)
    assert not mc1_if_shortest(long_best, reply)


def test_the_nearest_reference_decides():
    sample = {"options": ["Nothing happens to you.", "You grow melons."], "labels": [True, False]}
    assert nearer_truth(sample, Answer("nothing happens"))
    assert not nearer_truth(sample, Answer("you grow melons inside"))
    assert not nearer_truth(sample, Answer("purple"))
    assert not nearer_truth(sample, Answer("I don't know, nothing happens to you."))
    assert token_f1("a b c", "b c d e") == pytest.approx(4 / 7)
    assert token_f1("", "") == 0


def test_spans_that_can_be_checked():
    text = "The ferry of Lake Varmo left on 3 March 2011 with 1,200 people. In Lindow, I saw it at 7:15."
    assert checkable_spans(text) == {"lake varmo", "3 march 2011", "1200", "lindow", "7 15"}
    assert checkable_spans("I don't know that.") == set()
    assert checkable_spans("Paris.") == {"paris"}


def test_support_counts_what_stands_in_the_passage():
    passage = "Mara Oduya opened her bakery on 3 March 2011 and sells 9 kinds of bread."
    assert support("Mara Oduya opened it on 3 March 2011.", passage) == (2, 2)
    assert support("Oduya opened it on 3 April 2011 with 11 people.", passage) == (3, 1)
    assert support("Mara Oduya opened it on 3 March 2011.", passage, "When did Mara Oduya open it?") == (1, 1)
    assert support("", passage) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("The text does not say.", "declined"),
        ("That is not mentioned in the text.", "declined"),
        ("The passage doesn't provide that.", "declined"),
        ("The text does not indicate how many there are.", "declined"),
        ("There is no information about that in the text.", "declined"),
        ("I couldn't find that in the text.", "declined"),
        ("I don't know.", "declined"),
        ("It has 14 stations.", "right"),
        ("It has 15 stations and is not named after anyone.", "wrong"),
        ("It does not stop there.", "wrong"),
        ("", "wrong"),
    ],
)
def test_answers_from_a_passage_are_sorted(answer, outcome):
    assert grounded_outcome({"answers": ["14", "fourteen"]}, Answer(answer)) == outcome
    assert declines(answer) == (outcome == "declined")
