"""Rows that hold one document, or one pair of documents, and nothing else: where it matters which tokens are whose.

Packed rows lose that, and a finite source is gone through again and again there; here every document is read once.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from serving.errors import UserError
from training.corpus.counterfactual import copies
from training.corpus.sources import SourceReport, words_of
from training.mixing import documents_of, mixed
from training.prefix_packing import ROW, pack
from training.recipe import SftSection, TrainingSection
from training.rendering import Document, Renderer
from training.tokens import StreamReport, cut

LOOKED_THROUGH = 50_000
"""Documents of a source in which pairs are looked for: some sources have no end."""


def write_documents(section: SftSection, renderer: Renderer, seed: int, folder: Path) -> StreamReport:
    """Write every document of the sources once, a row each: a longer text is cut, a longer conversation left out."""
    reports, found = _reports(section), []
    used, too_long = [0] * len(reports), [0] * len(reports)
    for number, document in _one_by_one(section, seed, reports):
        rows = _row([document], section, renderer)
        (used if len(rows) else too_long)[number] += 1
        found.append(rows)
    rows = np.concatenate(found)
    if len(rows) < section.rows_per_batch:
        raise UserError(
            f"The sources hold {len(rows)} documents, fewer than a batch of {section.rows_per_batch}: add more, or "
            "lower sft.batch_tokens."
        )
    _save(rows, folder)
    names = [f"{number} {report.name}" for number, report in enumerate(reports)]
    return StreamReport(
        documents=dict(zip(names, used, strict=True)),
        tokens=dict.fromkeys(names, 0),
        too_long=dict(zip(names, too_long, strict=True)),
        sources=reports,
    )


def write_pairs(section: SftSection, renderer: Renderer, seed: int, folder: Path) -> None:
    """Write pairs of a document with its copy about another group, a row each, as two segments behind their prefix."""
    fairness, rng = section.fairness, random.Random(seed)
    rows = (_row(pair, section, renderer) for pair in _pairs(section, seed, rng))
    found = list(islice((row for row in rows if len(row)), fairness.pairs))
    if len(found) < fairness.batch:
        raise UserError(
            f"Of the first {LOOKED_THROUGH:,} documents of each source, {len(found)} in all name a group of "
            f"{', '.join(fairness.axes)} and fit twice into a row, fewer than sft.fairness.batch, {fairness.batch}: "
            "add some, or raise sft.row."
        )
    _save(np.concatenate(found), folder)


def _pairs(section: SftSection, seed: int, rng: random.Random) -> Iterator[list[dict]]:
    for document in _mixed(section, seed):
        if about_others := copies(document, section.fairness.axes):
            yield [document, rng.choice(about_others)]


def _reports(section: TrainingSection) -> list[SourceReport]:
    return [SourceReport(name=source.name) for phase in section.phases for source in phase.sources]


def _one_by_one(section: TrainingSection, seed: int, reports: Sequence[SourceReport]) -> Iterator[tuple[int, dict]]:
    """The training documents of one source after the other, each with the number of its source."""
    sources = [source for phase in section.phases for source in phase.sources]
    for number, (spec, report) in enumerate(zip(sources, reports, strict=True)):
        if spec.name != "copies":
            for document in documents_of(spec, seed, report, once=True):
                yield number, document


def _mixed(section: TrainingSection, seed: int) -> Iterator[dict]:
    """The first training documents of every source, in about the shares in which all phases together train on them."""
    streams = []
    for phase in section.phases:
        total = sum(source.weight for source in phase.sources)
        for source in phase.sources:
            if source.name != "copies":
                documents = documents_of(source, seed, SourceReport(name=source.name), once=True)
                streams.append((phase.share * source.weight / total, islice(documents, LOOKED_THROUGH)))
    return mixed(streams, lambda document: len(words_of(document)))


def _row(unit: Sequence[dict], section: TrainingSection, renderer: Renderer) -> np.ndarray:
    """The row of these documents (1, row); (0, row) where they do not fit into one behind the same prefix."""
    encoded = [_encoded(document, section, renderer) for document in unit]
    length = len(encoded[0].prefix) + sum(len(document.ids) for document in encoded)
    if length > section.row or any(document.prefix != encoded[0].prefix for document in encoded):
        return np.zeros((0, section.row), ROW)
    return pack(encoded, section.row, renderer.pad_id, random.Random(0))


def _encoded(document: dict, section: TrainingSection, renderer: Renderer) -> Document:
    if "text" in document:
        [whole] = renderer.texts([document["text"]])
        return next(cut(whole, section.row))
    [encoded] = renderer.conversations([document], section.answers_only)
    return encoded


def _save(rows: np.ndarray, folder: Path) -> None:
    """Where `training.tokens.PackedRows` finds them, whole or not at all."""
    path = folder / "00" / "00.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, rows)
    unfinished.replace(path)
