"""Where a variant must not touch a question: the name of what it asks about, whose change would change the truth."""

import re
from collections.abc import Callable

from eval.requests import Sample
from eval.task import Variant

Edit = Callable[[str], str]


def outside_entity(sample: Sample) -> list[tuple[str, bool]]:
    """The question in pieces, each with whether it may be changed; every mention of sample["entity"] may not."""
    question, entity = sample["question"], str(sample.get("entity") or "")
    name = re.sub(r"^(?:the|a|an) ", "", entity, flags=re.IGNORECASE)
    if not name:
        return [(question, True)]
    pieces = re.split(rf"(?<!\w)({re.escape(name)})(?!\w)", question, flags=re.IGNORECASE)
    return [(piece, place % 2 == 0) for place, piece in enumerate(pieces) if piece]


def edited(sample: Sample, edit: Edit) -> Sample | None:
    """`sample` with `edit` done to all of its question but the entity; None where that changes nothing."""
    return changed(sample, "".join(edit(piece) if free else piece for piece, free in outside_entity(sample)))


def changed(sample: Sample, question: str) -> Sample | None:
    """`sample` asking `question` instead, or None if it does so already."""
    return sample | {"question": question} if question != sample["question"] else None


def whole(name: str, edit: Edit) -> Variant:
    """The variant that does `edit` to the whole question, names and all."""
    return Variant(name, lambda sample, rng: changed(sample, edit(sample["question"])))
