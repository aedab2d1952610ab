"""The almanac: text, conversations and examinations made from tables of true facts.

Everything here is drawn from a seed: the same seed gives the same documents in the same order, and no stream hands out
the same document twice.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

from training.corpus.almanac.chat import Conversations, plain
from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.questions import Questions
from training.corpus.almanac.requests import Requests
from training.corpus.almanac.text import Texts
from training.corpus.almanac.wordings import Phrasing
from training.corpus.almanac.world import OPEN_SUBJECTS, World

WORD_LISTS = 200
OPENINGS, OPENINGS_SEEN = 400, 12_000
WORD = re.compile("[A-Za-z]{2,}")


@cache
def world() -> World:
    """The tables, read once."""
    return World()


@cache
def phrasing() -> Phrasing:
    return Phrasing()


def requests() -> Requests:
    return Requests(phrasing(), world().drawable)


def text_documents(seed: int) -> Iterator[dict]:
    """Endless `{"text": ...}` documents that state facts."""
    texts = Texts(_questions(), requests())
    return _unrepeated(seed, lambda rng: {"text": texts.draw(rng)}, str)


def chat_documents(seed: int, bare: float = 0.0, token_count: Callable[[str], int] | None = None) -> Iterator[dict]:
    """Endless conversations; `bare` is the share that knows of no system prompt and no tools.

    With `token_count` made-up names have as many tokens as real ones, so that tokens alone do not tell what is known.
    """
    conversations = Conversations(_questions(token_count=token_count), requests(), phrasing(), bare)
    return _unrepeated(seed, conversations.draw, lambda document: plain(document["messages"]))


def tokenizer_documents(seed: int) -> Iterator[dict]:
    """Endless text to train a tokenizer on, in which made-up names stand for the real ones.

    Byte-pair merges would otherwise make one token of every name that the corpus repeats, and a name of several tokens
    would be known to be made up. Every real name is met once, first, and some in requests for tools. Plain words, on
    the other hand, are said so often that they become tokens: a small model copies and recognises tokens, not letters.
    """
    names = sorted({name for names in world().names.values() for name in names})
    yield from ({"text": name} for name in names)
    rng, questions = random.Random(seed), _questions(disguise=True)
    yield from _word_lists(rng, sorted({*_plain_words(), *_openings(rng, questions)}))
    conversations = Conversations(questions, requests(), phrasing())
    texts = Texts(questions, conversations.requests)

    def draw(rng: random.Random) -> dict:
        return {"text": texts.draw(rng) if rng.random() < 0.3 else plain(conversations.draw(rng)["messages"])}

    yield from _unrepeated(seed, draw, str)


def _plain_words() -> Iterator[str]:
    """The words that requests are made of, but none that is part of a name one can make up."""
    named = {
        word for subject in OPEN_SUBJECTS for name in world().names.get(subject, ()) for word in name.lower().split()
    }
    return (word for word in phrasing().words.any if word not in named)


def _openings(rng: random.Random, questions: Questions) -> list[str]:
    """The words that messages open with most often, as they stand there: "Search", "Draw", "Which"."""
    ask = requests()
    asked = (ask.draw(rng).question if i % 2 else questions.known(rng)[0][0] for i in range(OPENINGS_SEEN))
    words = (WORD.match(text) for text in asked)
    return [word for word, _ in Counter(word.group() for word in words if word).most_common(OPENINGS)]


def _word_lists(rng: random.Random, words: list[str]) -> Iterator[dict]:
    """Every word twice a line: once opening it, once behind a blank."""
    for _ in range(WORD_LISTS):
        rng.shuffle(words)
        yield {"text": "\n".join(f"{word} {word}" for word in words)}


def _questions(disguise: bool = False, token_count: Callable[[str], int] | None = None) -> Questions:
    return Questions(world(), MadeUpNames(world(), token_count=token_count), phrasing(), disguise)


def _unrepeated(seed: int, draw: Callable[[random.Random], dict], key: Callable[[dict], str]) -> Iterator[dict]:
    rng, seen = random.Random(seed), set()
    while True:
        document = draw(rng)
        mark = hash(key(document))
        if mark not in seen:
            seen.add(mark)
            yield document
