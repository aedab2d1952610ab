"""Multiple choice where a server gives no log-probabilities: the options get letters and the model names one."""

import random
import re
import string

from eval.completions import read_answer
from eval.replies import NoAnswer, Scored
from eval.requests import Choose
from prompts.library import probe

_ALONE = re.compile(r"\W*([A-Za-z])\W*")
_COMMA = r",(?! [A-HJ-Z]\b)"  # "B, I think", but not "A, B or C"
_STARTS = re.compile(rf"\W*([A-Z])(?:[.):]\W*|{_COMMA}|\s+-+)\s")
# A capital that is no word of the sentence: a mark or the end follows, unlike in "the answer is: A plant" or "is I'm".
_MARK = rf"(?:[.:;!?)\]*\"]|'(?!\w)|{_COMMA}|\s+-+\s|\s*$)"
_NAMED = re.compile(
    rf"\b(?i:answer|choice|is|be|say|think|choose|chose|pick|select|go with)\W*\b([A-Z])(?={_MARK})|"
    r"\b(?i:option|letter)\W+([A-Z])\b"
)


def letters_body(request: Choose) -> dict:
    """A chat completion that asks for a letter. Raises `NoAnswer` when there are more options than letters."""
    order = _order(request)
    if len(order) > len(string.ascii_uppercase):
        raise NoAnswer(f"{len(order)} options are more than there are letters")
    listed = [
        f"{letter}. {request.options[place].strip()}" for letter, place in zip(_letters(order), order, strict=True)
    ]
    wording = probe("letters" if request.context.strip() else "letters_alone")
    asked = wording.format(context=request.context.strip(), options="\n".join(listed))
    return {"messages": [{"role": "user", "content": asked}], "temperature": 0, "max_tokens": 16}


def read_letter(request: Choose, content: bytes, latency_s: float) -> Scored:
    """0 for the option that the answer chooses and -1 for the others; 0 for all when it names none."""
    answer = read_answer(content, latency_s)
    named = option_named(request, answer.text)
    logprobs = [0.0 if named is None or place == named else -1.0 for place in range(len(request.options))]
    return Scored(logprobs, [0] * len(request.options), "letters", answer.latency_s)


def option_named(request: Choose, text: str) -> int | None:
    """Which of the options an answer to `letters_body` chooses; None where it names no letter that one has."""
    order, letter = _order(request), letter_in(text)
    named = _letters(order).find(letter) if letter else -1
    return order[named] if named >= 0 else None


def letter_in(text: str) -> str | None:
    """The letter that an answer names, as its only one, as the start of a line "B. ...", or as "the answer is B".

    Inside a sentence only a capital is a letter: "a" is an article there.
    """
    found = _ALONE.fullmatch(text) or _STARTS.match(text) or _NAMED.search(text)
    return next(filter(None, found.groups())).upper() if found else None


def _order(request: Choose) -> list[int]:
    """Which option stands where: shuffled, because data sets put the right one first and models like the first."""
    order = list(range(len(request.options)))
    random.Random("\n".join((request.context, *request.options))).shuffle(order)
    return order


def _letters(order: list[int]) -> str:
    return string.ascii_uppercase[: len(order)]
