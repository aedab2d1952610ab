"""Formats of one prompt that a reader takes for the same, drawn from a grammar as in FormatSpread.

Source: Sclar et al. 2023, arXiv:2310.11324: how fields are named, cased, separated and spaced, how items are marked.
"""

import random
from dataclasses import dataclass
from functools import cache
from itertools import product

from eval.requests import Sample
from eval.task import Variant
from serving.errors import UserError

NAMES = (("question", "options", "answer"), ("q", "choices", "a"), ("input", "options", "output"))
CASES = (str.lower, str.title, str.upper)
SEPARATORS = (": ", " - ", " :: ", ":\n", "\n\t", "")
SPACES = ("\n", "\n\n", " ", " || ", ", ")
MARKERS = ("{0}. ", "({0}) ", "{0}) ", "<{0}> ", "[{0}] ")
NUMBERINGS = ("ABCDEFGH", "abcdefgh", "12345678")


@dataclass(frozen=True)
class Format:
    """One way to lay a prompt out."""

    names: tuple[str, str, str]
    separator: str
    space: str
    marker: str
    numbering: str

    def render(self, question: str, options: list[str] = ()) -> str:
        """The prompt, up to where the answer begins; its last blanks belong to the answer."""
        asked, listed, answer = self.names
        fields = [f"{asked}{self.separator or ' '}{question}"]
        if options:
            marked = [self.marker.format(self.numbering[i]) + text for i, text in enumerate(options)]
            fields.append(f"{listed}{self.separator or ' '}{self.space.join(marked)}")
        return self.space.join([*fields, f"{answer}{self.separator}"]).rstrip()


@cache
def formats() -> list[Format]:
    """Every format of the grammar, in a fixed order that mixes them well."""
    named = [tuple(case(name) for name in names) for names, case in product(NAMES, CASES)]
    found = [Format(*parts) for parts in product(named, SEPARATORS, SPACES, MARKERS, NUMBERINGS)]
    random.Random(0).shuffle(found)
    return found


def formatted(number: int = 1) -> Variant:
    """The question, with its "choices" if it has some, in the `number`-th format of the grammar."""
    if not 1 <= number <= len(formats()):
        raise UserError(f"formatted takes the number of a format, 1 to {len(formats())}, not {number}.")
    chosen = formats()[number - 1]

    def apply(sample: Sample, rng: random.Random) -> Sample:
        return sample | {"question": chosen.render(sample["question"], sample.get("choices", ()))}

    return Variant(f"format-{number}", apply)
