"""A comparison as a person reads it in a terminal."""

from collections.abc import Sequence
from itertools import groupby

from eval.compare import Change
from eval.figures import Unit
from eval.report.changes import NAMES, could_have_seen

HEADLINES = "headline figures (p by Holm)"


def render(changes: Sequence[Change], everything: bool = False) -> str:
    """One aligned table: A, B, the difference with its 95 % interval, p and verdict; `everything` adds all others."""
    shown = [change for change in changes if change.headline or everything]
    width = max((len(change.key) for change in shown), default=0) + 4
    head = f"{'':{width}}{'A':>9}{'B':>9}{'B - A':>9}  {'95 % interval':<18}{'p':>7}  verdict"
    blocks = [head]
    for title, members in groupby(shown, key=lambda change: HEADLINES if change.headline else change.section):
        blocks += [title, *(f"{'  ' + change.key:{width}}{_cells(change)}" for change in members), ""]
    return "\n".join(blocks).rstrip()


def verdict(change: Change) -> str:
    """In words, with what could have been seen, or why nothing can be said."""
    if change.difference is None:
        return f"{NAMES[change.outcome]} ({change.why})"
    said, found = NAMES[change.outcome], change.difference
    if change.outcome == "none":
        said += f" ({could_have_seen(change)})"
    unmatched = [f"{n} only in {name}" for n, name in ((found.unmatched_a, "A"), (found.unmatched_b, "B")) if n]
    return said + (f"; {' and '.join(unmatched)}" if unmatched else "")


def _cells(change: Change) -> str:
    found, unit = change.difference, change.figure.unit
    if found is None:
        return f"{'':54}{verdict(change)}"
    values = f"{_value(found.value_a, unit):>9}{_value(found.value_b, unit):>9}{_signed(found.difference, unit):>9}"
    ends = f"{_signed(found.low, unit)} to {_signed(found.high, unit)}" if found.low is not None else ""
    p = "< 0.001" if change.p < 0.001 else f"{change.p:.3f}"
    return f"{values}  {ends:<18}{p:>7}  {verdict(change)}"


def _value(value: float, unit: Unit) -> str:
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.4g}"


def _signed(value: float, unit: Unit) -> str:
    return f"{100 * value:+.1f}" if unit == "share" else f"{value:+.3g}"
