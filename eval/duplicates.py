"""Answers that are nearly a stretch of some document: exact Jaccard likeness of 5-grams of words, found by an index."""

from collections import Counter
from collections.abc import Iterable, Sequence

from eval.scores.text import words

GRAM = 5
NEAR = 0.8
"""The likeness from which on data sets are deduplicated (Lee et al. 2022, arXiv:2107.06499)."""
FEWEST = 6
"""Shingles of an answer, made of ten words: shorter ones are phrases that many texts share."""
Shingle = tuple[str, ...]


def shingles(text: str) -> list[Shingle]:
    """The 5-grams of its words in order; none of a text that has fewer."""
    split = words(text).split()
    return [tuple(split[place : place + GRAM]) for place in range(len(split) - GRAM + 1)]


class Documents:
    """Documents to be found again in answers."""

    def __init__(self, texts: Iterable[str]):
        self._documents = [shingles(text) for text in texts]
        self._having: dict[Shingle, list[int]] = {}
        for number, document in enumerate(self._documents):
            for shingle in set(document):
                self._having.setdefault(shingle, []).append(number)

    def has_near(self, answer: str) -> bool:
        """Whether a stretch of a document, as long as the answer, is its near-duplicate."""
        own = shingles(answer)
        if len(own) < FEWEST:
            return False
        shared = Counter(number for shingle in set(own) for number in self._having.get(shingle, ()))
        # As many as this must be shared before the union, which is no smaller than the answer, can be that close.
        likely = [number for number, count in shared.items() if count >= NEAR * len(set(own))]
        return any(_best_likeness(own, self._documents[number]) >= NEAR for number in likely)


def jaccard(one: Iterable[Shingle], other: Iterable[Shingle]) -> float:
    """What two sets share of all that they have."""
    one, other = set(one), set(other)
    return len(one & other) / len(one | other)


def _best_likeness(answer: Sequence[Shingle], document: Sequence[Shingle]) -> float:
    starts = range(max(1, len(document) - len(answer) + 1))
    return max(jaccard(answer, document[start : start + len(answer)]) for start in starts)
