"""Variants of what stands around a question: the system prompt, and the order of the options to choose from."""

import random

from eval.requests import Sample
from eval.task import Variant
from prompts.library import persona
from serving.errors import UserError

NO_SYSTEM = ""


def system(name: str = "plain") -> Variant:
    """The system prompt prompts/personas/<name>.md instead of the one as served; "none" leaves it out."""
    try:
        text = NO_SYSTEM if name == "none" else persona(name)
    except FileNotFoundError:
        raise UserError(f"There is no system prompt {name!r}: name a file of prompts/personas/, or none.") from None
    return Variant(f"system-{name}", lambda sample, rng: sample | {"system": text})


def choice_order(steps: int = 1) -> Variant:
    """The options moved round by `steps` places, and "answer", the index of the right one, with them."""

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        options = sample.get("choices", ())
        if len(options) < 2 or steps % len(options) == 0:
            return None
        moved = [options[(place - steps) % len(options)] for place in range(len(options))]
        return sample | {"choices": moved, "answer": (sample["answer"] + steps) % len(options)}

    return Variant(f"choice-order-{steps}", apply)


def both(first: Variant, second: Variant) -> Variant:
    """What `second` makes of what `first` made; nothing where the second has nothing to change."""

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        changed = first.apply(sample, rng)
        return second.apply(changed if changed is not None else sample, rng)

    return Variant(f"{first.name}+{second.name}", apply)
