"""Is what an answer says found in the passage that it was given? By surface alone: no model is needed."""

import re
from typing import NamedTuple

from eval.replies import Answer
from eval.scores.refusal import refuses
from eval.scores.score import Sample, score
from eval.scores.text import plain, words
from eval.scores.values import states_value

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DATE = re.compile(
    rf"\b\d{{1,2}} (?:{_MONTHS})(?: \d{{4}})?\b|\b(?:{_MONTHS}) \d{{1,2}}(?:,? \d{{4}})?\b", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:[.:/]\d+)*(?!\w)")
_NAME = re.compile(r"\b[A-Z][\w-]*(?:(?: (?:of|the|de|van|von|la))* [A-Z][\w-]*)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n]\s+|[\"(])$")
_FUNCTION_WORD = re.compile(
    r"about|according|after|all|also|although|an?|and|as|at|because|before|both|but|by|during|each|either|every|for|from|"
    r"her?|his|how|however|if|in|indeed|into|its?|many|most|my|neither|no|none|not|of|on|one|only|or|other|our|she|since|"
    r"so|some|sorry|that|the|their|then|there|these|they|this|those|though|through|to|two|under|unfortunately|until|was|"
    r"we|well|were|what|when|where|which|while|who|why|with|yes|your?",
    re.IGNORECASE,
)
_TEXT = r"(?:text|passage|note|page|article|paragraph|story)"
_SAYS = r"(?:say|state|mention|tell|give|name|specify|contain|provide|include|indicate|reveal)"
_SILENT = re.compile(
    rf"\b{_TEXT} (?:(?:does|do) not|never) (?:\w+ )?{_SAYS}\b|"
    rf"\b{_TEXT} (?:{_SAYS}s no|has no|says nothing)\b|"
    r"\b(?:is|are|was|were) not (?:said|stated|mentioned|specified|indicated|provided|given in|told in)\b"
)


class Support(NamedTuple):
    """How many of an answer's checkable spans there are, and how many of them stand in the passage."""

    spans: int
    supported: int


def support(answer: str, passage: str, question: str = "") -> Support:
    """Counts the different numbers, dates and names (capitalised spans) that `answer` adds to `question`, and those of
    them that stand in `passage`.

    Formula: a span stands in a text if its words do, in the same order, in any case. A word at the start of a sentence
    is a name unless it is a common function word. Source: entity overlap as a check of faithfulness (Nan et al. 2021,
    arXiv:2102.09130). Caveat: right words in a wrong relation count as supported, other spellings do not.
    """
    asked, text = f" {words(question)} ", f" {words(passage)} "
    added = [span for span in checkable_spans(answer) if f" {span} " not in asked]
    return Support(len(added), sum(f" {span} " in text for span in added))


def checkable_spans(answer: str) -> set[str]:
    """The dates, numbers and names of `answer`, as `words` writes them; a number inside a date is not counted again."""
    text, spans = plain(answer), set()
    for pattern in (_DATE, _NUMBER, _NAME):
        for match in pattern.finditer(text):
            span = _without_start(match[0], text[: match.start()]) if pattern is _NAME else match[0]
            if span:
                spans.add(words(span))
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return spans - {"", "i"}


def declines(answer: str) -> bool:
    """Whether `answer` says that it doesn't know or that the text doesn't say; good where the text is silent. True = 1.

    Formula: `refuses`, or one of a few ways to say that the passage is silent. Source: ours. Caveat: a list of phrases.
    """
    return refuses(answer) or bool(_SILENT.search(words(answer)))


@score(
    formula="declined if the answer says that it or the text doesn't know, else right if it states an alias, or wrong",
    source="answerable and unanswerable questions on one passage, as in SQuAD 2.0 (Rajpurkar et al. 2018); data ours",
    caveat="surface only: an alias that is not listed is missed, and so is an unlisted way to decline",
)
def grounded_outcome(sample: Sample, reply: Answer) -> str:
    if declines(reply.text):
        return "declined"
    return "right" if states_value(reply.text, sample["answers"], sample.get("entity", "")) else "wrong"


def _without_start(name: str, before: str) -> str:
    """`name` without the function word that a sentence may begin with."""
    first, _, rest = name.partition(" ")
    begins = _SENTENCE_START.search(before)
    return rest if begins and _FUNCTION_WORD.fullmatch(first) else name
