"""Variants that ask in other words: the rewordings that samples carry, or frames that a file holds."""

import random
from functools import cache
from typing import Any

from eval.requests import Sample
from eval.task import Variant
from eval.variants.spans import changed
from prompts.library import FOLDER
from serving.errors import UserError


@cache
def frames(name: str) -> dict[str, Any]:
    """prompts/rewordings/<name>.yaml; of questions it is subject -> relation -> frames with {e} for the entity."""
    import yaml

    return yaml.safe_load((FOLDER / "rewordings" / f"{name}.yaml").read_text(encoding="utf-8"))


def reworded(sample: Sample, name: str = "almanac") -> list[str]:
    """The sample's question in every wording that the file has for its relation; none if it has none for it."""
    asked = frames(name).get(sample.get("subject", ""), {}).get(sample.get("relation", ""), [])
    return [_capitalised(frame.format(e=sample["entity"])) for frame in asked]


def reword(number: int = 1) -> Variant:
    """The `number`-th of the sample's own "rewordings", or of those for its relation in prompts/rewordings/."""
    if number < 1:
        raise UserError(f"reword takes the number of a rewording, from 1, not {number}.")

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        wordings = sample.get("rewordings") or reworded(sample)
        return changed(sample, wordings[number - 1]) if number <= len(wordings) else None

    return Variant(f"reword-{number}", apply)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
