"""Likeness of meaning: how near an answer's vector lies to that of a reference, by an embedder that is named."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from eval.embedder import NO_EMBEDDER, Embedder, default_embedder
from eval.figures import Figure, Section
from eval.records import Record
from eval.replies import Answer
from eval.scores.score import Sample, score
from serving.home import home

Summarise = Callable[[Sequence[Record]], list[Section]]


@score(
    formula="s' = (s - b) / (1 - b) of the cosine s to the nearest reference; b is that of random pairs of texts",
    source="cosine of sentence embeddings (Reimers and Gurevych 2019, arXiv:1908.10084), rescaled as BERTScore is "
    "(Zhang et al. 2020, arXiv:1904.09675)",
    caveat="nearly blind to negation and numbers: a high value is not correctness",
    low=None,
)
def similarity(sample: Sample, reply: Answer) -> float | None:
    references, embedder = sample["answers"], _embedder()
    return rescaled_cosine(embedder, reply.text, references) if embedder and references else None


def rescaled_cosine(embedder: Embedder, text: str, references: Sequence[str]) -> float:
    """1 for the same meaning as the nearest of `references`, 0 for as little in common as random texts have.

    A text without a word that the embedder knows is worth 0.
    """
    answer, *expected = embedder.embed([text, *references])
    if not answer.any():
        return 0.0
    nearest = max(float(answer @ reference) for reference in expected)
    return (nearest - embedder.baseline) / (1 - embedder.baseline)


def naming_the_embedder(summarise: Summarise) -> Summarise:
    """`summarise`, whose figures of similarity say by which embedder, and are not measurable without one.

    A number that does not say which embedder made it means nothing.
    """
    return lambda records: [
        Section(section.title, [_named(figure) for figure in section.figures]) for section in summarise(records)
    ]


def _named(figure: Figure) -> Figure:
    if figure.meaning != similarity.meaning:
        return figure
    embedder = _embedder()
    if embedder is None:
        return replace(figure, unmeasurable=NO_EMBEDDER)
    meaning = replace(similarity.meaning, caveat=f"{similarity.meaning.caveat}; {embedder.credentials}")
    return replace(figure, meaning=meaning)


def _embedder() -> Embedder | None:
    return _found(os.environ.get("HOMEGROWN_EMBEDDER"), home())


@cache
def _found(named: str | None, home: Path) -> Embedder | None:
    """The default embedder of these settings: looked up once, for its files are hashed then."""
    return default_embedder()
