"""Variants of the surface of a question: its meaning is the same to a reader who is not pedantic."""

import random

from eval.requests import Sample
from eval.task import Variant


def case(kind: str = "lower") -> Variant:
    """The question in "upper" or "lower" case; nothing where that changes nothing."""

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        changed = getattr(sample["question"], kind)()
        return sample | {"question": changed} if changed != sample["question"] else None

    return Variant(f"case {kind}", apply)
