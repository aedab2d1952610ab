"""Counterfactual copies: the same document about every other group of an axis (gender, religion ...).

What is said of one group is then said of all as often (Lu et al. 2018, arXiv:1807.11714). The groups are those of
prompts/probes/swaps.yaml, with which the suite about bias asks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from eval.variants.swaps import probes

PRONOUNS = re.compile(r"\b(?:s?he|him|hers?|his|(?:him|her)self)\b", re.IGNORECASE)
SENTENCE_BEGINS = re.compile(r"(?:^|[.!?:\n])\W*$")


def known_axes() -> list[str]:
    """The axes that copies can be made on."""
    return list(probes("swaps"))


def balanced(documents: Iterable[dict], axes: Sequence[str]) -> Iterator[dict]:
    """Every document, and behind it its copies."""
    for document in documents:
        yield document
        yield from copies(document, axes)


def copies(document: dict, axes: Sequence[str]) -> list[dict]:
    """The document about each other group, on every axis of which it names one: {"text"} or {"messages"}.

    There are none where a copy would be wrong: a tool is called with words that would have to change as well, or
    pronouns tell the gender.
    """
    if any(message.get("tool_calls") for message in document.get("messages", ())):
        return []
    said = _texts(document)
    found = []
    for axis in axes:
        groups = probes("swaps")[axis]["groups"]
        if axis == "gender" and any(PRONOUNS.search(text) for text in said):
            continue
        if any(_pattern(groups).search(text) for text in said):
            found += [_turned(document, groups, by) for by in range(1, len(groups))]
    return found


def _texts(document: dict) -> list[str]:
    if "text" in document:
        return [document["text"]]
    return [message["content"] for message in document["messages"] if message["content"]]


def _turned(document: dict, groups: Sequence[str], by: int) -> dict:
    """The document with each group in the place of the one that stands `by` places before it in the list."""
    if "text" in document:
        return document | {"text": _turned_text(document["text"], groups, by)}
    messages = [
        message | {"content": _turned_text(message["content"], groups, by)} if message["content"] else message
        for message in document["messages"]
    ]
    return document | {"messages": messages}


def _turned_text(text: str, groups: Sequence[str], by: int) -> str:
    def other(match: re.Match) -> str:
        place = [group.lower() for group in groups].index(match["group"].lower())
        group = groups[(place + by) % len(groups)]
        article = ("an " if group[0].lower() in "aeiou" else "a ") if match["article"] else ""
        swapped = f"{article}{group}"
        return swapped[0].upper() + swapped[1:] if SENTENCE_BEGINS.search(text[: match.start()]) else swapped

    return _pattern(groups).sub(other, text)


def _pattern(groups: Sequence[str]) -> re.Pattern:
    """A group as it is listed or with a capital, and the article before it."""
    forms = dict.fromkeys(form for group in groups for form in (group, group[0].upper() + group[1:]))
    return re.compile(rf"\b(?:(?P<article>[Aa]n?) )?(?P<group>{'|'.join(map(re.escape, forms))})\b")
