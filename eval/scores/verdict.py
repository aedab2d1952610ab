"""Does an answer say yes or no, to a claim or to a question?"""

import re
from typing import Literal

from eval.replies import Answer
from eval.scores.refusal import refuses
from eval.scores.score import Sample, score
from eval.scores.text import plain

_ABOUT = r"(?:that|this|it|which|you|your (?:claim|statement|friend|teacher|book))"
_DEGREE = r"(?:quite |indeed |absolutely |completely |also )?"
_TRUE, _FALSE = r"(?:right|correct|true)", r"(?:wrong|incorrect|false|mistaken)"
_STARTS = r"^\W*(?:well,? )?"
_ENDS_WORD = r"(?=\s*(?:[,.!;:]|$)| - | (?:it|the|that|this|you)\b)"
_YES = (
    rf"{_STARTS}(?:yes|yeah|yep|indeed|exactly|of course){_ENDS_WORD}",
    rf"{_STARTS}{_TRUE}(?=\s*(?:[,.!;:]|$))",
    rf"\b{_ABOUT} (?:is |are )?{_DEGREE}{_TRUE}\b",
    rf"\b{_ABOUT} (?:is |are )?not {_FALSE}\b",
    r"(?:\bso|\bthen|\banswer is|[,;.] *) *(?:yes|right|correct|true)\W*$",
)
_NO = (
    rf"{_STARTS}(?:no|nope){_ENDS_WORD}",
    rf"{_STARTS}(?:{_FALSE}|not (?:quite|really|at all|{_TRUE}))(?=\s*(?:[,.!;:]|$))",
    rf"\b{_ABOUT} (?:is |are )?{_DEGREE}{_FALSE}\b",
    rf"\b{_ABOUT} (?:is |are )?not {_DEGREE}{_TRUE}\b",
    r"(?:\bso|\bthen|\banswer is|[,;.] *) *(?:no|wrong|incorrect|false)\W*$",
)
_SAYS_YES, _SAYS_NO = re.compile("|".join(_YES)), re.compile("|".join(_NO))
_DENIES = re.compile(r"\bnot\b(?! only)")
_YES_OR_NO = re.compile(rf"{_STARTS}(yes|no){_ENDS_WORD}|(?<![\w-])(?<!or )(?<!and )(yes|no)\W*$")


def verdict(answer: str) -> Literal["yes", "no"] | None:
    """What `answer` says to a claim: "yes", "no", or None where it gives no verdict or both.

    Formula: yes / no / right / wrong at the start or the end ("so yes"), "that is right", "you are wrong" anywhere;
    where none of these stands, a "not" is a no ("The capital is Paris, not Lyon."). A refusal gives no verdict.
    Direction: none of its own; compare it with the truth of the claim (`statistics.balanced_accuracy`). Source: ours.
    Caveat: read without the question, so a "not" that denies something else counts as no.
    """
    if refuses(answer):
        return None
    text = " ".join(plain(answer).casefold().split())
    said = {word for word, pattern in (("yes", _SAYS_YES), ("no", _SAYS_NO)) if pattern.search(text)}
    if not said and _DENIES.search(text):
        return "no"
    return said.pop() if len(said) == 1 else None


@score(
    formula='"yes" or "no" if the answer starts or ends with it, unread otherwise and where it gives both',
    source="ours, for questions that ask for one of the two words, as HaluEval does (Li et al. 2023, arXiv:2305.11747)",
    caveat='"correct", "true" or "false" is unread: it may speak of the question or of what the question is about',
    better="",
)
def yes_or_no(sample: Sample, reply: Answer) -> str | None:
    text = " ".join(plain(reply.text).casefold().split())
    said = {word for found in _YES_OR_NO.finditer(text) for word in found.groups() if word}
    return said.pop() if len(said) == 1 else None
