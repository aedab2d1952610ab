"""Pairs of texts that mean nearly the same, or stand next to each other: what an embedder learns from."""

import itertools
import random
import re
from collections.abc import Iterator

from training.corpus import almanac
from training.corpus.almanac.wordings import capitalised
from training.corpus.almanac.world import Fact

Pair = tuple[str, str]

SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(]?[A-Z0-9])|\n+")
FEWEST_WORDS = 3
STATEMENTS = 0.4  # of the wording pairs, the rest are questions
WRONG = 0.5  # of the pairs of statements: both say the same wrong value


def neighbours(document: dict) -> Iterator[Pair]:
    """Sentences of a text that follow each other, messages of a conversation and what was answered in words."""
    if "text" in document:
        sentences = (part.strip() for part in SENTENCE_END.split(document["text"]))
        yield from itertools.pairwise(part for part in sentences if len(part.split()) >= FEWEST_WORDS)
        return
    for asked, answer in itertools.pairwise(document["messages"]):
        if (asked["role"], answer["role"]) == ("user", "assistant") and answer["content"]:
            yield asked["content"], answer["content"]


def wording_pairs(seed: int) -> Iterator[Pair]:
    """Endless pairs of training wordings of one question or statement about a fact that the almanac teaches.

    A statement may be wrong, in both wordings alike: beside the true one in the same batch it teaches that the value
    counts, and not only what is spoken of.
    """
    rng, taught = random.Random(seed), list(almanac.world().taught)
    while True:
        rng.shuffle(taught)
        for fact in taught:
            if rng.random() >= STATEMENTS:
                yield _question(rng, fact), _question(rng, fact)
            else:
                value = rng.choice(almanac.world().values[fact.relation]) if rng.random() < WRONG else fact.value
                yield _statement(rng, fact, value), _statement(rng, fact, value)


def _question(rng: random.Random, fact: Fact) -> str:
    phrasing = almanac.phrasing()
    frame = phrasing.question(rng, fact.relation)
    frame = frame.replace("{r}", rng.choice(fact.relation.nouns)).replace("{e}", fact.entity)
    return phrasing.typed(rng, frame.replace("{name}", rng.choice(phrasing.words.names)), keep=(fact.entity,))


def _statement(rng: random.Random, fact: Fact, value: str) -> str:
    """The canonical answer, one of the frames that texts state facts in, or the value alone behind the entity."""
    relation = fact.relation
    frame = rng.choice([relation.statement("{e}", "{v}"), *almanac.phrasing().frames["statement"]])
    frame = frame.replace("{is}", "are" if relation.plural else "is").replace("{r}", rng.choice(relation.nouns))
    return capitalised(frame.replace("{e}", fact.entity).replace("{v}", relation.said(value)))
