"""Variants of the surface of a question: its meaning is the same to a reader who is not pedantic."""

import random
import re
from typing import Literal

from eval.requests import Sample
from eval.task import Variant
from eval.variants.spans import edited, whole

_PUNCTUATION = {
    "dropped": lambda text: re.sub(r"[?!.,;:]+(?=\s|$)", "", text),
    "doubled": lambda text: re.sub(r"[?!.]+(?=\s|$)", lambda mark: mark[0] * 2, text),
}
_BLANKS = {"blanks": ("   ",), "lines": ("\n", " ", " ")}
_MARGINS = {"blanks": "  ", "lines": "\n"}


def case(kind: Literal["upper", "lower", "title"] = "lower") -> Variant:
    """The whole question in another case, names too: people type like that, and mean the same."""
    return whole(f"case-{kind}", lambda text: getattr(text, kind)() if kind != "title" else _title(text))


def punctuation(kind: Literal["dropped", "doubled", "added"] = "dropped") -> Variant:
    """Marks at the ends of words left out or doubled, or more of them after the question."""
    name = f"punctuation-{kind}"
    if kind == "added":
        return whole(name, lambda text: f"{text.rstrip()}!!")
    return Variant(name, lambda sample, rng: edited(sample, _PUNCTUATION[kind]))


def layout(kind: Literal["blanks", "lines"] = "blanks") -> Variant:
    """Blanks between words made three, or some of them line breaks; blanks around the question too."""

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        spaced = edited(sample, lambda text: re.sub(" ", lambda _: rng.choice(_BLANKS[kind]), text)) or sample
        return sample | {"question": f"{_MARGINS[kind]}{spaced['question']}{_MARGINS[kind]}"}

    return Variant(f"layout-{kind}", apply)


def _title(text: str) -> str:
    """Unlike `str.title`, "what's" becomes "What's"."""
    return re.sub(r"\b(?<!')[a-z]", lambda letter: letter[0].upper(), text)
