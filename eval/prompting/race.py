"""Which cells of techniques x questions are asked: a race in which poor techniques drop out, and then fresh questions.

The questions are parted into blocks that share no cluster. On the search blocks techniques are halved by what they
have shown so far (successive halving: Jamieson and Talwalkar 2016, arXiv:1502.07943); zero-shot, the reference, is
always kept. Those left over, FINALISTS at most, are asked the last block, which nobody has seen. What is said of them
rests on that block alone, so that the choice of the finalists cannot make chance look like merit.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from math import ceil, log2
from typing import Protocol

FINALISTS = 3
SEARCH = 0.25
"""The share of the questions that the search may use."""
FEWEST_CLUSTERS = 60
"""With fewer of them, parting costs more certainty than it saves requests."""


class Shown(Protocol):
    """What a technique has shown on one question."""

    block: int
    good: float
    tokens: float


Table = Mapping[str, Mapping[str, Shown]]
"""Technique -> question -> what was shown; the reference comes first."""


def search_blocks(techniques: int, clusters: int) -> int:
    """How often a field of so many techniques, the reference among them, is halved; 0: all are asked everything."""
    rivals = techniques - 1
    return ceil(log2(rivals / FINALISTS)) if rivals > FINALISTS and clusters >= FEWEST_CLUSTERS else 0


def part(clusters: Sequence[str], blocks: int) -> list[int]:
    """The block of each question, given its cluster: `blocks` for the search, each twice the one before, and the last.

    Twice, because half as many techniques are left; so every block costs about the same.
    """
    names = sorted(set(clusters))
    random.Random(0).shuffle(names)
    shares = [SEARCH * 2**block / (2**blocks - 1) for block in range(blocks)]
    ends = [len(clusters) * sum(shares[: block + 1]) for block in range(blocks)]
    sizes = dict.fromkeys(names, 0)
    for cluster in clusters:
        sizes[cluster] += 1
    block_of, reached = {}, 0.0
    for name in names:
        block_of[name] = sum(reached + sizes[name] / 2 > end for end in ends)
        reached += sizes[name]
    return [block_of[cluster] for cluster in clusters]


def fields(table: Table, sizes: Sequence[int], is_hopeless: Callable[[str, int], bool]) -> list[list[str]]:
    """For each block in turn the techniques that are asked it, as far as that is decided; the first block all.

    `sizes`: how many questions each block has. `is_hopeless`: whether what a technique has shown up to a block is no
    merit, as when it refuses everything. No decision looks at a later block than its own.
    """
    decided = [list(table)]
    for block in range(len(sizes) - 1):
        field = decided[-1]
        if any(_asked(table[name], block) < sizes[block] for name in field):
            break
        reference, *rivals = field
        kept = FINALISTS if block == len(sizes) - 2 else max(FINALISTS, ceil(len(rivals) / 2))
        ranked = sorted(rivals, key=lambda name: (is_hopeless(name, block), *_standing(table[name], block)))
        decided.append([name for name in field if name == reference or name in ranked[:kept]])
    return decided


def _asked(shown: Mapping[str, Shown], block: int) -> int:
    return sum(one.block == block for one in shown.values())


def _standing(shown: Mapping[str, Shown], block: int) -> tuple[float, float]:
    """The better, then the cheaper, comes first."""
    seen = [one for one in shown.values() if one.block <= block]
    return -sum(one.good for one in seen) / len(seen), sum(one.tokens for one in seen) / len(seen)
