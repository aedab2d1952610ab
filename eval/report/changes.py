"""What became of a figure against the baseline (A is the baseline, B this run), in the words of every format."""

from eval.compare import Change
from eval.report.words import difference_text, interval_text, size_text

POINTS = "\N{NO-BREAK SPACE}%"
"""The unit that a difference of shares does not have; the difference before it says "points"."""
SIGNS = {"better": "▲", "worse": "▼", "changed": "≠", "none": "=", "unmeasurable": "?", "incomparable": "?"}
NAMES = {
    "better": "better",
    "worse": "worse",
    "changed": "changed",
    "none": "no difference found",
    "unmeasurable": "not measurable in both",
    "incomparable": "not comparable",
}


def sign(change: Change) -> str:
    """A mark that says the outcome without colour."""
    return SIGNS[change.outcome]


def short(change: Change) -> str:
    """ "+3.2 points, better"."""
    if change.difference is None:
        return NAMES[change.outcome]
    return f"{difference_text(change.difference.difference, change.figure.unit)}, {NAMES[change.outcome]}"


def detail(change: Change) -> str:
    """Its interval, p, and what could have been seen; or why there is no difference to tell."""
    found, unit = change.difference, change.figure.unit
    if found is None:
        return change.why
    ends = (found.low, found.high)
    parts = [] if None in ends else [f"95 %: {interval_text(*ends, unit).removesuffix(POINTS)}"]
    parts.append(f"p {p_text(change.p)}")
    parts += [f"could have seen {size_text(found.mde, unit)}"] if found.mde else []
    return "; ".join(parts)


def p_text(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"
