"""Packing: many documents in one row, none of them seeing another, and a shared beginning only once.

Conversations that begin with the same system turn (system prompt and tool list) are packed behind ONE copy of it:

    prefix | conversation 1 | conversation 2 | ... | padding

Each conversation attends to the prefix and to itself, and its positions go on from the prefix's end, so for the model
it is exactly the sequence prefix + conversation; the prefix is computed once a row and not once a conversation.
Documents without a system turn are packed the same way behind a prefix of length 0.
"""

import bisect
import random
from collections import defaultdict

import numpy as np

from training.rendering import Document

PREFIX, PADDING = 0, 65_535
ROW = np.dtype([("token", np.uint32), ("segment", np.uint16), ("counted", np.bool_)])
"""A token of a packed row: its id, which document of the row it belongs to (from 1), whether it counts in the loss."""


def pack(documents: list[Document], row: int, pad_id: int, rng: random.Random) -> np.ndarray:
    """Rows (rows, row) of dtype `ROW` holding all `documents`, in random order.

    Best-fit decreasing: the longest document first, each into the fullest row that still holds it. Every document
    must fit into a row behind its prefix.
    """
    groups: dict[tuple[int, ...], list[Document]] = defaultdict(list)
    for document in documents:
        groups[document.prefix].append(document)
    bins = [
        (prefix, filling)
        for prefix, group in groups.items()
        for filling in _best_fit([len(document.ids) for document in group], row - len(prefix), group)
    ]
    rng.shuffle(bins)
    rows = np.zeros((len(bins), row), ROW)
    for packed, (prefix, filling) in zip(rows, bins, strict=True):
        _fill(packed, prefix, filling, pad_id)
    return rows


def _best_fit(lengths: list[int], room: int, documents: list[Document]) -> list[list[Document]]:
    bins: list[list[Document]] = []
    free: list[tuple[int, int]] = []  # (room left, number of the bin), sorted
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        place = bisect.bisect_left(free, (lengths[index], -1))
        if place == len(free):
            left, number = room, len(bins)
            bins.append([])
        else:
            left, number = free.pop(place)
        bins[number].append(documents[index])
        bisect.insort(free, (left - lengths[index], number))
    return bins


def _fill(packed: np.ndarray, prefix: tuple[int, ...], documents: list[Document], pad_id: int) -> None:
    end = len(prefix)
    packed["token"][:end] = prefix
    for segment, document in enumerate(documents, 1):
        start, end = end, end + len(document.ids)
        packed["token"][start:end] = document.ids
        packed["counted"][start:end] = document.counted
        packed["segment"][start:end] = segment
    packed["token"][end:] = pad_id
    packed["segment"][end:] = PADDING
