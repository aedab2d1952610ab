"""The passages of a user's documents that match a question best, by BM25.

Source: Robertson and Zaragoza 2009 (Found. Trends Inf. Retr. 3:333), with the usual k1 = 1.2 and b = 0.75, and ln(1 +
...) in the inverse document frequency, so that a word which most passages have counts little and never against one.
"""

import re
from collections import Counter
from collections.abc import Iterable
from math import log
from pathlib import Path

from eval.data import rows
from eval.scores.text import words
from serving.errors import UserError

K1, B = 1.2, 0.75
MOST_WORDS = 120
"""In a passage; a longer paragraph is cut."""


class Passages:
    """Texts that can be searched."""

    def __init__(self, texts: Iterable[str]):
        self.texts = list(dict.fromkeys(texts))
        counts = [Counter(_terms(text)) for text in self.texts]
        self._lengths = [counted.total() for counted in counts]
        self._mean_length = sum(self._lengths) / max(len(counts), 1)
        self._holding: dict[str, list[tuple[int, int]]] = {}
        """Term -> (passage, how often it has the term) of every passage that has it."""
        for place, counted in enumerate(counts):
            for term, times in counted.items():
                self._holding.setdefault(term, []).append((place, times))

    def best(self, question: str, count: int) -> list[str]:
        """The `count` passages that match best, the best first; fewer where fewer share a word with the question."""
        scores: Counter[int] = Counter()
        for term in set(_terms(question)):
            holding = self._holding.get(term, ())
            rarity = log(1 + (len(self.texts) - len(holding) + 0.5) / (len(holding) + 0.5))
            for place, times in holding:
                length = 1 - B + B * self._lengths[place] / self._mean_length
                scores[place] += rarity * times * (K1 + 1) / (times + K1 * length)
        ranked = sorted(scores, key=lambda place: (-scores[place], place))
        return [self.texts[place] for place in ranked[:count]]


def read_passages(path: Path) -> Passages:
    """The passages of a file: the "text" of every line of JSONL or a table, the paragraphs of any other text.

    Raises `UserError` when it cannot be read or holds none.
    """
    if {".jsonl", ".csv", ".tsv"} & set(path.suffixes):
        texts = [_text_of(row, path) for row in rows(path)]
    else:
        try:
            texts = re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The documents {path} cannot be read ({error}): name a text file in UTF-8.") from None
    passages = Passages(piece for text in texts for piece in _pieces(text))
    if not passages.texts:
        raise UserError(f"The documents {path} hold no text: name a file of texts with --documents.")
    return passages


def _text_of(row: dict, path: Path) -> str:
    if not isinstance(row.get("text"), str):
        raise UserError(f"A line of the documents {path} has no 'text': give every line one.")
    return row["text"]


def _pieces(text: str) -> list[str]:
    said = text.split()
    return [" ".join(said[start : start + MOST_WORDS]) for start in range(0, len(said), MOST_WORDS)]


def _terms(text: str) -> list[str]:
    return words(text).split()
