"""Does an answer say that the model does not know? The one list of the ways to say so."""

import re

from eval.scores.text import words

_FACTS = r"(?:information|knowledge|data|facts?|records?|idea|answer|entry|details)"
# Matched against `words(answer)`: no punctuation, contractions written out, lower case.
REFUSALS = (
    r"\bi (?:really |just |simply |still |also )?(?:do|did) not (?:really |actually |yet |even )?know\b",
    r"^(?:sorry )?(?:do not know|dont know|dunno)\b",
    r"\b(?:not|nothing|never something) (?:\w+ )?(?:that )?i know\b",
    r"\bi know nothing\b",
    rf"\bi have (?:no|not any) (?:\w+ )?{_FACTS}\b",
    rf"\bi do not have (?:(?:any|the|that|this|an|enough) )?(?:\w+ )?{_FACTS}\b",
    rf"^(?:sorry )?(?:i am afraid )?no {_FACTS}\b",
    r"\b(?:unknown|not known|not familiar) to me\b",
    r"\bi am not (?:familiar with|aware of|sure|certain)\b",
    r"\bi am unable to (?:say|tell|answer)\b",
    r"\bi (?:can|could) not (?:say|tell|answer)\b",
    r"\bi have (?:never|not) (?:heard of|learned|learnt|read)\b",
    r"\bi never (?:heard of|learned|learnt)\b",
    r"\b(?:beyond|outside|outside of|not part of) what i know\b",
)
_REFUSAL = re.compile("|".join(f"(?:{pattern})" for pattern in REFUSALS))
# "I don't know why, but the capital is Paris" answers; "I don't know, but I can search" does not.
_ANSWERS_AFTER_ALL = re.compile(
    r"\b(?:but|however) "
    r"(?:i (?:think|believe|guess|suppose|would say)\b|(?!i\b|you\b|we\b|please\b|perhaps\b|maybe\b))"
)


def refuses(answer: str) -> bool:
    """Whether `answer` says "I don't know". Higher is better for what cannot be known, lower for known facts; True = 1.

    Formula: one of `REFUSALS` is found and the answer does not go on with "but" and a statement.
    Source: phrase lists of this kind are used for SelfAware (Yin et al. 2023, arXiv:2305.18153); this list is ours.
    Caveat: a list of phrases: another way to say it is missed, and a refusal followed by an unrelated invention counts.
    """
    text = words(answer)
    found = _REFUSAL.search(text)
    return bool(found) and not _ANSWERS_AFTER_ALL.search(text, found.end())
