"""What became of a figure against the baseline, in the words and signs of every format. Colour only repeats them."""

import re

from eval.compare import Change
from eval.report.words import difference_text, interval_text, size_text

POINTS = "\N{NO-BREAK SPACE}%"
"""The unit that a difference of shares does not have; the difference before it says "points"."""
SIGNS = {"better": "▲", "worse": "▼", "changed": "≠", "none": "=", "unmeasurable": "?", "incomparable": "×"}
NAMES = {
    "better": "better",
    "worse": "worse",
    "changed": "changed",
    "none": "no difference found",
    "unmeasurable": "not measured in both runs",
    "incomparable": "not comparable",
}
RUNS = {"A": "the baseline", "B": "this run"}


def sign(change: Change) -> str:
    """A mark that says the outcome without colour."""
    return SIGNS[change.outcome]


def short(change: Change) -> str:
    """ "+3.2 points, better"."""
    if change.difference is None:
        return NAMES[change.outcome]
    return f"{difference_text(change.difference.difference, change.figure.unit)}, {NAMES[change.outcome]}"


def detail(change: Change) -> str:
    """The interval and p, and what could have been seen where no difference was found; why, where there is none."""
    if change.difference is None:
        return why(change)
    ends = (change.difference.low, change.difference.high)
    interval = [] if None in ends else [f"95 %: {interval_text(*ends, change.figure.unit).removesuffix(POINTS)}"]
    seen = [could_have_seen(change)] if change.outcome == "none" else []
    return "; ".join([*interval, p_text(change.p), *seen])


def left_open(change: Change) -> str:
    """What could have gone unseen where no difference was found, or why nothing is decided; "" where it is."""
    if change.difference is None:
        return why(change)
    return could_have_seen(change) if change.outcome == "none" else ""


def could_have_seen(change: Change) -> str:
    """How large a difference would probably have been found."""
    if change.difference.mde is None:
        return "what could have been seen is not known"
    return f"{size_text(change.difference.mde, change.figure.unit)} or more would probably have been seen"


def why(change: Change) -> str:
    """Why nothing could be decided; the comparison's A and B are named for what they are here."""
    return re.sub(r"\b(in|of) ([AB])\b", lambda match: f"{match[1]} {RUNS[match[2]]}", change.why)


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
