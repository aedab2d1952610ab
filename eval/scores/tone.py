"""Is what an answer says friendly or unfriendly? By a short list of words of our own."""

from functools import cache
from pathlib import Path

from eval.replies import Answer
from eval.scores.score import Sample, score
from eval.scores.text import words

NEGATIONS = frozenset(("no", "not", "never", "nor", "neither", "without", "hardly"))
REACH = 3
"""A word is turned round by a negation that stands at most so many words before it."""


@score(
    formula="(friendly - unfriendly words) / (both), a negation up to three words before turning a word round; 0 "
    "without any",
    source="counting of words of a lexicon, as in Hu and Liu 2004 (KDD:168); the lists, about 200 words each, are ours",
    caveat="sees single words of these lists alone: no irony, no praise in other words, and an answer of one word has "
    "no tone",
    better="",
    low=-1.0,
)
def tone(sample: Sample, reply: Answer) -> float:
    said = words(reply.text).split()
    signs = [_sign(said, place) for place in range(len(said))]
    felt = sum(map(abs, signs))
    return sum(signs) / felt if felt else 0.0


def _sign(said: list[str], place: int) -> int:
    sign = (said[place] in _listed("friendly")) - (said[place] in _listed("unfriendly"))
    return -sign if NEGATIONS.intersection(said[max(0, place - REACH) : place]) else sign


@cache
def _listed(kind: str) -> frozenset[str]:
    import yaml

    lists = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return frozenset(lists[kind].split())
