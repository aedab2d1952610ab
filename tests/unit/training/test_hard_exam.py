"""The hard exam: always the same questions, in wordings that neither training nor the exam's sets use."""

import random
from itertools import chain, product

from training.corpus import almanac
from training.corpus.almanac.wordings import four_grams, gram_hash, held_out
from training.corpus.almanac.world import read_yaml
from training.corpus.hard_exam import FRAMES, HardExam

BLUFFABLE = {"made_up", "near_miss", "withheld_entity", "withheld_attribute", "premise_false"}


def hard_grams() -> set[str]:
    return {gram for frame in chain.from_iterable(read_yaml(FRAMES).values()) for gram in four_grams(frame)}


def test_no_wording_of_training_or_of_the_other_sets_shares_four_words_in_a_row() -> None:
    hard, phrasing, rng = hard_grams(), almanac.phrasing(), random.Random(0)
    relations = list(almanac.world().by_relation)
    assert not [gram for gram in hard if gram_hash(gram) in held_out()]
    for _ in range(2000):
        assert not four_grams(phrasing.question(rng, rng.choice(relations))) & hard
        assert not four_grams(phrasing.premise(rng)) & hard
    parts = phrasing.frames["question"]
    behind = product(("goes_on", "where"), ("then",))
    composed = (f"{{e}} {one}{two}" for a, b in behind for one, two in product(parts[a], parts[b]))
    assert not [frame for frame in composed if four_grams(frame) & hard]


def test_it_is_drawn_the_same_each_time_and_every_frame_is_asked() -> None:
    first, second = (list(HardExam(almanac.world(), almanac.phrasing()).questions()) for _ in range(2))
    assert first == second
    frames = read_yaml(FRAMES)
    asked = {question["wording"] for question in first}
    assert asked == {f"hard/{kind}/{place}" for kind in frames for place in range(len(frames[kind]))}
    assert sum(question["group"] in BLUFFABLE for question in first) > 1000
    assert not [q for q in first if "{" in q["question"]]
    assert len({question["id"] for question in first}) == len(first)
