"""Does an answer state a value? Pure functions; each says its direction, range, formula, source and caveat."""

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from eval.scores.refusal import refuses
from eval.scores.text import plain, words
from eval.scores.verdict import verdict

Span = tuple[int, int]

_NUMBER = re.compile(r"(?<![\w.,/-])-?\d+(?:\.\d+)?(?!\w|[.,/-]\d)")
_SAYS = r"(?:say|says|said|think|thinks|thought|claim|claims|claimed|believe|believes|told me|asked|mention|mentioned)"
_IN_SENTENCE = r"(?:[^.;!?\n]|\.(?=\w))*"
_REPORTED = re.compile(
    rf"(?:^|(?<=[.;!?,:\n]))\s*(?:well |so |but |and )?(?:you|your \w+) (?:\w+ )?{_SAYS}\b"
    r".*?(?=[;!?:\n]|,(?!\d)|\.(?!\w)| - |\bbut\b|$)",
    re.IGNORECASE | re.DOTALL,
)
_ASKED = re.compile(rf"{_IN_SENTENCE}\?")
_NOT_SO = (
    r"(?:not (?:true|right|correct|the case) that|(?:false|wrong|incorrect) that|not (?:think|believe)|"
    r"i (?:(?:really|highly|strongly|very much) )?doubt)"
)
_CALLED_FALSE = re.compile(rf"{_IN_SENTENCE}\b{_NOT_SO}\b{_IN_SENTENCE}", re.IGNORECASE)
_ADVERB = r"(?:really|actually|exactly|quite|even|necessarily|currently|officially|yet)"
_NOT = rf"(?:not(?! only\b| just\b| merely\b)|never|no longer)(?: {_ADVERB})*"
# What makes the next word something else than the value: a denial, also of a list ("not Lyon nor Paris"), an exception,
# or a time that is over.
_DENIED_BEFORE = re.compile(
    rf"\b(?:{_NOT}|hardly|neither|nor|not (?:[\w-]+ )?or|instead of|rather than|anything but|(?<!none )other than|"
    r"except|unlike|used to|formerly|previously)(?: (?:the|a|an|in|be|have|been|called|named))* ?$",
    re.IGNORECASE,
)
_VERB = r"(?:is|was|are|were|does|did|can|could|has|would)"
_DENIED_AFTER = re.compile(
    rf"^ (?:{_VERB}(?: \w+)? {_NOT}\b|(?:is|was) (?:wrong|false|incorrect)\b|used to be\b)", re.IGNORECASE
)


def states_value(answer: str, aliases: Sequence[str], entity: str = "", rivals: Sequence[str] = ()) -> bool:
    """Whether `answer` itself states one of `aliases` as the value. Higher is better; True = 1.

    Formula: after normalising (`eval.scores.text`) an alias stands as whole words, a number as a whole number of the
    same size ("-4" and "14" are not "4", "4.0" is). One mention of `entity` is set aside first, so "the capital of
    Luxembourg is big" does not state "Luxembourg", except where the answer is nothing but the value. Reported claims
    ("You say Lyon"), denials ("not Lyon", "Lyon is not", "neither Lyon", "used to be Lyon") and questions do not state
    anything. A mention inside a longer one of `rivals` belongs to the rival ("Sudan" in "South Sudan"). Single letters,
    and codes of two characters with a capital ("In", "He"), must match in case too; a value without letters or digits
    ("°") must stand as it is.
    Source: exact match with aliases as in TriviaQA (Joshi et al. 2017, arXiv:1705.03551), made strict.
    Caveat: surface only; a synonym that is not listed is missed, so is a denial in other words, and a value said in
    passing or in a list of guesses is counted: `eval.scores.rivals` looks for other values beside it.
    """
    assertions = _assertions(answer)
    return any(_stands(assertions, alias, entity, rivals) for alias in aliases)


def affirms(answer: str, wrong: Sequence[str], right: Sequence[str], entity: str = "") -> bool:
    """Whether `answer` states a wrong value as true. Lower is better; True = 1.

    Formula: it states one of `wrong` and none of `right` (see `states_value`), or states neither and says yes to the
    claim. An answer that states both, refuses, or only reports the claim ("You say Lyon; the capital is Paris.") does
    not affirm. Aliases that are also in `right` are no wrong values.
    Source: premise rejection in false-premise question answering (Hu et al. 2023, CREPE / FalseQA line of work).
    Caveat: only the claimed value is looked for; another wrong value is not this score's business.
    """
    rightful = {words(alias) for alias in right}
    claimed = [alias for alias in wrong if words(alias) not in rightful]
    if not claimed or refuses(answer):
        return False
    states_wrong = states_value(answer, claimed, entity, rivals=right)
    if states_value(answer, right, entity, rivals=claimed):
        return False
    return states_wrong or verdict(answer) == "yes"


@lru_cache(maxsize=4096)
def _assertions(answer: str) -> str:
    """What `answer` says itself, without questions, reports and what it calls false."""
    return _CALLED_FALSE.sub(" ", _ASKED.sub(" ", _REPORTED.sub(" ", plain(answer))))


def _stands(assertions: str, alias: str, entity: str, rivals: Sequence[str]) -> bool:
    fold = len(alias) > 2 or (len(alias) == 2 and not any(c.isupper() for c in alias))
    text, value = words(assertions, fold), without_article(alias, fold)
    if not value:
        return bool(alias.strip()) and alias.strip() in assertions
    entities = _mentions(text, without_article(entity, fold))
    spans = _mentions(text, value)
    longer = [
        s for rival in rivals if spans for s in _mentions(text, without_article(rival, fold)) if len(rival) > len(alias)
    ]
    return text == value or any(
        not _denied(text, span) and not _is_echo(span, entities) and not any(_inside(span, s) for s in longer)
        for span in spans
    )


@lru_cache(maxsize=65536)
def without_article(alias: str, fold: bool = True) -> str:
    """The name or value without the article that it may carry."""
    return re.sub(r"^(?:the|a|an) (?=\S)", "", words(alias, fold), flags=re.IGNORECASE)


def _mentions(text: str, value: str) -> list[Span]:
    """Where `value` stands in `text` as whole words (hyphen or space between them) or as the same number."""
    if not value:
        return []
    if _NUMBER.fullmatch(value):
        return [m.span() for m in _NUMBER.finditer(text) if Decimal(m[0]) == Decimal(value)]
    if re.split("[ -]", value.lstrip("-"), maxsplit=1)[0] not in text:
        return []
    pattern = re.sub(r"(?<=\w)(?:\\ |\\-)", "[ -]", re.escape(value))
    return [m.span() for m in re.finditer(rf"(?<![\w./-]){pattern}(?![\w-]|[.,/]\d)", text)]


def _denied(text: str, span: Span) -> bool:
    return bool(_DENIED_BEFORE.search(text[: span[0]]) or _DENIED_AFTER.search(text[span[1] :]))


def _is_echo(span: Span, entities: list[Span]) -> bool:
    """A mention inside the entity's name, while no other mention of the entity is left to be set aside."""
    return any(_inside(span, e) for e in entities) and not any(e[1] <= span[0] or span[1] <= e[0] for e in entities)


def _inside(inner: Span, outer: Span) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]
