"""Does an answer state another value of the relation beside the right one? Reciting all of them is no knowledge."""

import re
from collections.abc import Sequence

from eval.scores.score import Sample
from eval.scores.text import plain, words
from eval.scores.values import states_value, without_article

_SHORTEST_NAME = 3
_LONG_NAME = re.compile(r"\b(?!(?:The|An?|In|It)\b)[A-Z][\w-]*(?: [A-Z][\w-]*)+")
_LINK = r"(?: ?[,;/]| -| and| or)(?: (?:and|or|maybe|perhaps|the|an?))* ?"
_ITEM_ENDS = r"(?=\W*$|,(?!\d)|[;/)]|\.(?!\w)|[!?]| and\b| or\b| -)"


def rivals_of(sample: Sample) -> list[Sequence[str]]:
    """The aliases of each value that would be wrong: "wrong", and those of "values" that share none with "answers"."""
    right = {words(alias) for alias in sample["answers"]}
    groups = [*([alias] for alias in sample.get("wrong", ())), *sample.get("values", ())]
    return [aliases for aliases in groups if right.isdisjoint(map(words, aliases))]


def states_rival(answer: str, sample: Sample) -> bool:
    """Whether `answer` states a value that the sample knows to be wrong, beside the right one or not. True = 1.

    Formula: a name, which has a capital, is stated anywhere (`states_value`). A number, a code or a common word is only
    taken for a value where it stands next to the right one as in a list, for a true answer may need it otherwise ("A
    cube has 12 edges, 8 corners", "No, it is Fe"). Parts of a right value or of another name ("America" in "Peru, South
    America") are no rivals.
    Source: ours. Caveat: a true remark with another name of the relation counts, a second number further on doesn't.
    """
    right, entity, text = sample["answers"], sample.get("entity", ""), plain(answer)
    longer, items = [*right, *_LONG_NAME.findall(text)], _in_one_line(text)
    for aliases in rivals_of(sample):
        if states_value(answer, [alias for alias in aliases if _is_name(alias)], entity, rivals=longer):
            return True
        if any(_are_listed(items, alias, value) for alias in aliases for value in right):
            return True
    return False


def _is_name(alias: str) -> bool:
    return len(alias) >= _SHORTEST_NAME and any(c.isupper() for c in alias)


def _is_code(alias: str) -> bool:
    return len(alias) < _SHORTEST_NAME and any(c.isupper() for c in alias)


def _in_one_line(text: str) -> str:
    """`text` without marks of emphasis, the lines of a list set apart by commas."""
    return " ".join(re.sub(r"\s*\n\s*(?:- )?", ", ", re.sub(r'[*"]', "", text).strip()).split())


def _are_listed(items: str, one: str, other: str) -> bool:
    """Whether the two stand side by side as items of a list; codes ("No", "In") must match in case too."""
    fold = not (_is_code(one) or _is_code(other))
    one, other = without_article(one, fold), without_article(other, fold)
    if not all(value and value.casefold() in items.casefold() for value in (one, other)):
        return False
    one, other = re.escape(one), re.escape(other)
    pattern = rf"(?<![\w.-])(?:{one}{_LINK}{other}|{other}{_LINK}{one}){_ITEM_ENDS}"
    return bool(re.search(pattern, items, re.IGNORECASE if fold else 0))
