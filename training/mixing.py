"""Several sources as one endless stream in which each holds its share."""

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

from training.corpus.sources import SourceReport, SourceSpec, open_source

Item = TypeVar("Item")
Part = tuple[int, int]
ENDLESS = ("almanac",)


def mixed(sources: list[tuple[float, Iterator[Item]]], size: Callable[[Item], int]) -> Iterator[Item]:
    """Items of all sources such that each source's part of the summed sizes stays nearest to its weight.

    A source that ends leaves the mixture; the others go on.
    """
    active = [[0.0, weight, items] for weight, items in sources if weight > 0]
    while active:
        source = min(active, key=lambda entry: entry[0])
        item = next(source[2], None)
        if item is None:
            active.remove(source)
            continue
        source[0] += size(item) / source[1]
        yield item


def documents_of(
    spec: SourceSpec,
    seed: int,
    report: SourceReport,
    held_out: bool = False,
    once: bool = False,
    part: Part = (0, 1),
    token_count: Callable[[str], int] | None = None,
) -> Iterator[dict]:
    """Documents of one source; a finite one is gone through again and again, newly shuffled, unless `once`.

    `part` (i, n) is the i-th of n readers, who share a finite source's documents between them; of an endless source
    each reads a stream of its own. A source with fewer documents than readers is given to all of them whole.
    `token_count` as in `open_source`.
    """
    reader, readers = part
    if spec.name in ENDLESS:
        yield from open_source(spec, seed=seed + reader, report=report, held_out=held_out, token_count=token_count)
        return
    for epoch in itertools.count():
        first = epoch == 0
        documents = open_source(
            spec, seed=seed + epoch, report=report if first else SourceReport(name=spec.name), held_out=held_out
        )
        found = False
        for document in itertools.islice(documents, reader, None, readers):
            found = True
            yield document
        if once or (not found and readers == 1):
            return
        if not found:
            reader, readers = 0, 1
