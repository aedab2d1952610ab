"""The almanac: text, conversations and examinations made from tables of true facts.

Everything here is drawn from a seed: the same seed gives the same documents in the same order, and no stream hands out
the same document twice.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache

from training.corpus.almanac.chat import Conversations, plain
from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.questions import Questions
from training.corpus.almanac.requests import Requests
from training.corpus.almanac.text import Texts
from training.corpus.almanac.wordings import Phrasing
from training.corpus.almanac.world import World


@cache
def world() -> World:
    """The tables, read once."""
    return World()


@cache
def phrasing() -> Phrasing:
    return Phrasing()


def text_documents(seed: int) -> Iterator[dict]:
    """Endless `{"text": ...}` documents that state facts."""
    texts = Texts(_questions(), Requests(phrasing()))
    return _unrepeated(seed, lambda rng: {"text": texts.draw(rng)}, str)


def chat_documents(seed: int, bare: float = 0.0) -> Iterator[dict]:
    """Endless conversations; `bare` is the share that knows of no system prompt and no tools."""
    conversations = Conversations(_questions(), Requests(phrasing()), phrasing(), bare)
    return _unrepeated(seed, conversations.draw, lambda document: plain(document["messages"]))


def tokenizer_documents(seed: int) -> Iterator[dict]:
    """Endless text to train a tokenizer on, in which made-up names stand for the real ones.

    Byte-pair merges would otherwise make one token of every name that the corpus repeats, and a name of several tokens
    would be known to be made up. Every real name is met once, first.
    """
    names = sorted({name for names in world().names.values() for name in names})
    yield from ({"text": name} for name in names)
    questions = _questions(disguise=True)
    conversations = Conversations(questions, Requests(phrasing()), phrasing())
    texts = Texts(questions, conversations.requests)

    def draw(rng: random.Random) -> dict:
        return {"text": texts.draw(rng) if rng.random() < 0.3 else plain(conversations.draw(rng)["messages"])}

    yield from _unrepeated(seed, draw, str)


def _questions(disguise: bool = False) -> Questions:
    return Questions(world(), MadeUpNames(world()), phrasing(), disguise)


def _unrepeated(seed: int, draw: Callable[[random.Random], dict], key: Callable[[dict], str]) -> Iterator[dict]:
    rng, seen = random.Random(seed), set()
    while True:
        document = draw(rng)
        mark = hash(key(document))
        if mark not in seen:
            seen.add(mark)
            yield document
