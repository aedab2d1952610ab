"""Likeness of meaning: how near an answer's vector lies to that of a reference, by an embedder that is named."""

from collections.abc import Sequence

from eval.embedder import Embedder
from eval.meaning import Meaning
from eval.replies import Answer
from eval.scores.score import Sample, Score


def similarity(embedder: Embedder, references: str = "answers") -> Score:
    """The score of an answer's likeness to the nearest text in the sample's field `references`.

    A function of the embedder, because a number that does not say which embedder made it means nothing.
    """

    def likeness(sample: Sample, reply: Answer) -> float | None:
        expected = sample.get(references)
        return rescaled_cosine(embedder, reply.text, expected) if expected else None

    meaning = Meaning(
        formula="s' = (s - b) / (1 - b) of the cosine s to the nearest reference; b is that of random pairs of texts",
        source="cosine of sentence embeddings (Reimers and Gurevych 2019, arXiv:1908.10084), rescaled as BERTScore is "
        "(Zhang et al. 2020, arXiv:1904.09675)",
        caveat=f"{embedder.credentials}; nearly blind to negation and numbers: a high value is not correctness",
        low=None,
    )
    return Score("similarity", likeness, meaning)


def rescaled_cosine(embedder: Embedder, text: str, references: Sequence[str]) -> float:
    """1 for the same meaning as the nearest of `references`, 0 for as little in common as random texts have.

    A text without a word that the embedder knows is worth 0.
    """
    answer, *expected = embedder.embed([text, *references])
    if not answer.any():
        return 0.0
    nearest = max(float(answer @ reference) for reference in expected)
    return (nearest - embedder.baseline) / (1 - embedder.baseline)
