import random
import re

import pytest

from eval.pictures.captions import TOKEN, caption, plural, vocabulary, wordings
from eval.pictures.outlines import OUTLINES
from eval.pictures.palette import PALETTE
from eval.pictures.scene import PLACES, Scene, Thing
from eval.pictures.world import world

WORLDS = [world("small"), world("large")]
by_world = pytest.mark.parametrize("here", WORLDS, ids=lambda here: here.name)


def captions(here, count=4000, **how):
    rng = random.Random(1)
    return [caption(here.scene(rng), rng, **how) for _ in range(count)]


def boat(background="white", **told):
    return Scene("small", "single", background, (Thing("orange", "boat", 0.5, 0.5, 0.2),), **told)


def boat_below_sun():
    things = (Thing("red", "boat", 0.5, 0.7, 0.2), Thing("yellow", "sun", 0.5, 0.3, 0.2))
    return Scene("small", "two", "white", things, relation="below")


def heard(scene, count=400, **how):
    return {caption(scene, random.Random(seed), **how) for seed in range(count)}


@by_world
def test_captions_are_tokens_between_single_spaces(here):
    for text in captions(here, 500, synonyms=0.5):
        assert " ".join(TOKEN.findall(text)) == text


@by_world
def test_the_vocabulary_is_what_captions_use(here):
    used = {
        word
        for held_out in (False, True)
        for text in captions(here, 10_000, synonyms=0.6, held_out_wording=held_out)
        for word in text.split()
    }
    assert sorted(used) == vocabulary(here)


@by_world
def test_held_out_wordings_use_words_of_training_in_templates_of_their_own(here):
    known = {word for text in captions(here, 8_000, synonyms=0.5) for word in text.split()}
    assert {word for text in captions(here, synonyms=0, held_out_wording=True) for word in text.split()} <= known
    training, held_out = wordings()["training"], wordings()["held_out"]
    for part in ("named", "plain", *here.scene_kinds):
        assert not set(training[part]) & set(held_out[part])


@by_world
def test_there_are_many_wordings_for_every_kind_of_scene(here):
    rng = random.Random(3)
    for kind in here.scene_kinds:
        scene = here.scene(rng, kind)
        training, held_out = heard(scene, synonyms=0), heard(scene, synonyms=0, held_out_wording=True)
        assert len(training) >= 12
        assert len(held_out) >= 4
        assert not training & held_out


def test_everything_drawn_has_words():
    told = wordings()
    assert set(told["colours"]) >= set(PALETTE)
    assert set(told["kinds"]) >= set(OUTLINES)
    assert set(told["places"]) == set(PLACES)


def test_a_caption_can_be_as_short_as_people_write():
    assert "a red boat below a yellow sun" in heard(boat_below_sun(), 20_000, synonyms=0)
    assert "a scarlet ship under a golden sunshine" in heard(boat_below_sun(), 100_000, synonyms=1)


def test_only_white_may_stay_unsaid():
    assert "an orange boat" in heard(boat())
    assert all(re.search("blue|azure", text) for text in heard(boat("blue")))


def test_synonyms_come_as_often_as_asked():
    never, always = heard(boat("blue"), synonyms=0), heard(boat("blue"), synonyms=1)
    assert all("orange boat" in text and "blue" in text for text in never)
    assert all("tangerine" in text and "azure" in text and re.search("ship|sailboat", text) for text in always)


def test_the_article_suits_the_next_word():
    texts = heard(boat()) | heard(boat(size="small"))
    assert any("an orange" in text for text in texts)
    assert any("a small orange" in text for text in texts)
    assert not any(re.search(r"\ba [aeiou]|\ban [^aeiou]", text) for text in texts)


def test_a_medium_size_is_rarely_said():
    texts = heard(boat("blue", size="medium"))
    assert 0 < sum("medium" in text for text in texts) < len(texts) / 2


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("star", "stars"),
        ("fish", "fish"),
        ("box", "boxes"),
        ("butterfly", "butterflies"),
        ("key", "keys"),
        ("cross", "crosses"),
    ],
)
def test_plurals(one, many):
    assert plural(one) == many


def test_counted_things_are_told_in_the_plural():
    things = tuple(Thing("blue", "fish", x, 0.5, 0.15) for x in (0.2, 0.8))
    assert "two blue fish" in heard(Scene("large", "counted", "white", things), 10_000, synonyms=0)
