"""Variants with the slips of people who type or speak in a hurry."""

import random
import string

from eval.requests import Sample
from eval.task import Variant
from eval.variants.spans import changed, outside_entity
from eval.variants.wording import frames
from serving.errors import UserError

SHORTEST_TYPO = 4
"""Shorter words are left alone: one slip can make another word of them ("in" -> "is")."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    key: (row[place - 1] if place else "") + row[place + 1 : place + 2]
    for row in _ROWS
    for place, key in enumerate(row)
}


def typos(rate: float = 0.05) -> Variant:
    """A slip at `rate` of the letters, at least one: swapped, left out, doubled, or the key beside it.

    Names, first letters, short words, words in capitals and numbers are left alone.
    """
    if not 0 < rate <= 1:
        raise UserError(f"typos takes the share of letters that are hit, more than 0 and at most 1, not {rate:g}.")

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        places = _places(sample)
        if not places:
            return None
        hit = rng.sample(places, max(1, round(rate * len(places))))
        return changed(sample, _mistyped(sample["question"], sorted(hit), set(places) - set(hit), rng))

    return Variant(f"typos-{rate:g}", apply)


def fillers(count: int = 2) -> Variant:
    """What speakers say while they think ("um", "you know,"), at `count` places between words outside names."""
    if count < 1:
        raise UserError(f"fillers takes how many are put in, at least 1, not {count}.")
    words = frames("fillers")["fillers"]

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        question = sample["question"]
        gaps = [place for place in _free_places(sample) if question[place] == " "]
        if not gaps:
            return None
        for place in sorted(rng.sample(gaps, min(count, len(gaps))), reverse=True):
            question = f"{question[:place]} {rng.choice(words)}{question[place:]}"
        return changed(sample, question)

    return Variant(f"fillers-{count}", apply)


def courtesy(kind: str = "before") -> Variant:
    """A sentence of prompts/rewordings/courtesy.yaml around the question: polite "before" or "after" it, or "rude"."""
    kinds = frames("courtesy")
    if kind not in kinds:
        raise UserError(f"courtesy takes one of {', '.join(kinds)}, not {kind!r}.")

    def apply(sample: Sample, rng: random.Random) -> Sample:
        said, question = rng.choice(kinds[kind]), sample["question"]
        return sample | {"question": f"{question} {said}" if kind == "after" else f"{said} {question}"}

    return Variant(f"courtesy-{kind}", apply)


def _free_places(sample: Sample) -> list[int]:
    """Where in the question the characters stand that may be changed."""
    free, start = [], 0
    for piece, may_change in outside_entity(sample):
        free += range(start, start + len(piece)) if may_change else ()
        start += len(piece)
    return free


def _places(sample: Sample) -> list[int]:
    """Where a slip may happen: at small letters inside of words long enough, so never at the first one."""
    free, found, start = set(_free_places(sample)), [], 0
    for word in sample["question"].split(" "):
        letters = [start + i for i, letter in enumerate(word) if i and letter in string.ascii_lowercase]
        if len(letters) + 1 >= SHORTEST_TYPO:
            found += [place for place in letters if place in free]
        start += len(word) + 1
    return found


def _mistyped(text: str, hit: list[int], spared: set[int], rng: random.Random) -> str:
    letters = list(text)
    for place in hit:
        letter, kind = letters[place], rng.choice(("swapped", "left out", "doubled", "neighbour"))
        if kind == "swapped" and place - 1 in spared and letters[place - 1] != letter:
            letters[place - 1 : place + 1] = letter, letters[place - 1]
        elif kind == "left out":
            letters[place] = ""
        elif kind == "doubled":
            letters[place] = letter * 2
        else:
            letters[place] = rng.choice(_NEIGHBOURS[letter])
    return "".join(letters)
