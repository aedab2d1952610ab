"""Does a model contradict itself? An answer against samples of the same question; higher = more likely made up.

These compare several replies, so they are no `Score` of one reply: a task gives them the texts and states `MEANINGS`.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from eval.meaning import Meaning
from eval.scores.text import words

Embed = Callable[[Sequence[str]], Any]
"""Texts -> unit vectors, an array of shape (texts, dimensions)."""
SHORTEST_SENTENCE = 4
"""Words: shorter sentences of a sample are left out where it has longer ones, as SelfCheckGPT does."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Ngram(NamedTuple):
    """Negative log-probabilities of an answer under the unigram model of answer and samples, in nats."""

    mean: float
    """Over the tokens of the answer."""
    max: float
    """Of the rarest token of each sentence, averaged over the sentences."""


MEANINGS = {
    "unigram_max": Meaning(
        formula="mean over sentences of max_j -ln p(t_j), p counted over the answer and its samples, no smoothing",
        source="SelfCheckGPT n-gram, unigram max (Manakul et al. 2023, arXiv:2303.08896)",
        caveat="finds inconsistency, not falsehood: who is surely wrong passes; grows with the length of the samples",
    ),
    "unigram_mean": Meaning(
        formula="mean over tokens of -ln p(t), p counted over the answer and its samples, no smoothing",
        source="SelfCheckGPT n-gram, unigram avg (Manakul et al. 2023, arXiv:2303.08896)",
        caveat="finds inconsistency, not falsehood; one wrong word drowns in a long answer",
    ),
    "embedding": Meaning(
        formula="mean over sentences of 1 - (1/N) sum over samples of the best cosine with one of their sentences",
        source="SelfCheckGPT with BERTScore (Manakul et al. 2023, arXiv:2303.08896), by sentence embeddings instead",
        caveat="embeddings hardly see a changed name, number or negation",
    ),
    "semantic_entropy": Meaning(
        formula="-sum over meanings c of |c|/N ln(|c|/N), divided by ln N; N samples",
        source="discrete semantic entropy (Farquhar et al. 2024, Nature 630:625)",
        caveat="finds arbitrary invention only; two answers mean the same if both refuse, state the same value of the "
        "relation, or else have the same words",
    ),
}


def unigram(answer: str, samples: Sequence[str]) -> Ngram | None:
    """SelfCheckGPT's n-gram scores with n = 1; None for an answer without words."""
    sentences = [tokens for sentence in split_sentences(answer) if (tokens := words(sentence).split())]
    if not sentences:
        return None
    counts = Counter(token for sentence in sentences for token in sentence)
    counts.update(token for sample in samples for token in words(sample).split())
    total = counts.total()
    surprise = [[-math.log(counts[token] / total) for token in sentence] for sentence in sentences]
    tokens = [value for sentence in surprise for value in sentence]
    return Ngram(math.fsum(tokens) / len(tokens), math.fsum(map(max, surprise)) / len(surprise))


def embedding_inconsistency(answers: Sequence[str], samples: Sequence[Sequence[str]], embed: Embed) -> list[float]:
    """For every answer 1 minus its mean agreement with its samples, from 0 to 2; all texts are embedded at once."""
    parts = [[split_sentences(answer) or [answer]] for answer in answers]
    for part, texts in zip(parts, samples, strict=True):
        part += [_long_enough(split_sentences(text)) or [text] for text in texts]
    unique = list(dict.fromkeys(sentence for part in parts for text in part for sentence in text))
    rows = {sentence: row for row, sentence in enumerate(unique)}
    vectors = embed(unique)

    def disagreement(answer: Sequence[str], *others: Sequence[str]) -> float:
        own = vectors[[rows[s] for s in answer]]
        best = [(own @ vectors[[rows[s] for s in other]].T).max(axis=1).mean() for other in others]
        return 1 - float(sum(best)) / len(best)

    return [disagreement(*part) for part in parts]


def semantic_entropy(meanings: Sequence[Hashable]) -> float:
    """Discrete semantic entropy of samples with these meanings, over its maximum ln N: from 0 (all mean the same) to 1.

    Raises `ValueError` for fewer than two samples.
    """
    if len(meanings) < 2:
        raise ValueError("the entropy of fewer than two samples is not defined")
    shares = [count / len(meanings) for count in Counter(meanings).values()]
    return max(0.0, -math.fsum(share * math.log(share) for share in shares) / math.log(len(meanings)))


def split_sentences(text: str) -> list[str]:
    """`text` at blanks that follow a full stop, question mark or exclamation mark."""
    return [sentence for part in _SENTENCE_END.split(text) if (sentence := part.strip())]


def _long_enough(sentences: Sequence[str]) -> list[str]:
    return [sentence for sentence in sentences if len(words(sentence).split()) >= SHORTEST_SENTENCE]
