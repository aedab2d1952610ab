"""The one sentence at the top: what was decided, what could not be, and what stands against trusting it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from eval.report.changes import why
from eval.report.page import Page
from eval.report.rows import Row
from eval.report.words import counted, difference_text, enumerated, size_text, value_text

SHOWN = 3
MOST_ERRORS = 0.01
"""Of the requests; with more of them lost, what is left is not what was asked."""
Tone = Literal["better", "worse", "mixed", "changed", "none", "measured", "unknown"]


class Verdict(NamedTuple):
    tone: Tone
    answer: str
    """To whether it may go out; "" without a baseline."""
    sentence: str


def verdict(page: Page) -> Verdict:
    """Of the headline figures. Where something stands against trusting them, the sentence says so."""
    measured = [row for row in page.headlines if row.figure.estimate]
    if not measured:
        tone, said = "unknown", f"Nothing is decided: none of {_the_figures(page.headlines)} could be measured"
    elif page.baseline:
        tone, said = _compared(measured, page.baseline.folder.name)
    else:
        tone, said = "measured", f"Measured without a baseline: {_values(measured)}"
    return Verdict(tone, _answer(page, tone, measured), "; ".join([said, *_reservations(page, measured)]) + ".")


def _answer(page: Page, tone: Tone, measured: Sequence[Row]) -> str:
    """By the headline figures alone. Silence is no permission: what was lost or not compared leaves it open."""
    if page.baseline is None:
        return ""
    if tone in ("worse", "mixed"):
        return "Not as it is"
    lost = len(page.result.errors) > MOST_ERRORS * len(page.result.records) or page.unasked > 0
    if tone == "unknown" or lost or any(row.change and row.change.difference is None for row in measured):
        return "It cannot be told yet"
    if tone == "changed":
        return "Look at what changed first"
    gaps = len(measured) < len(page.headlines) + len(page.missing)
    return "Nothing found against it" + (", as far as was measured" if gaps else "")


def _compared(rows: Sequence[Row], baseline: str) -> tuple[str, str]:
    better, worse, same, changed = (
        [row for row in rows if row.tone == outcome] for outcome in ("better", "worse", "none", "changed")
    )
    others = f"; changed in {_changes(changed)}" if changed else ""
    others += f"; no difference found in {counted(len(same), 'other headline figure')}" if same else ""
    if better and worse:
        return "mixed", f"Mixed against {baseline}: worse in {_changes(worse)}; better in {_changes(better)}{others}"
    if better or worse:
        opening = "Better than" if better else "Worse than"
        return "better" if better else "worse", f"{opening} {baseline} in {_changes(better or worse)}{others}"
    if changed:
        return "changed", f"Neither better nor worse than {baseline}{others}"
    if same:
        return "none", f"No difference to {baseline} found in {_the_figures(same)}{_could_have_seen(same)}"
    return "unknown", f"Nothing could be compared with {baseline}: {why(rows[0].change)}"


def _changes(rows: Sequence[Row]) -> str:
    shown = [f"“{row.title}” ({_by(row)})" for row in rows[:SHOWN]]
    return enumerated([*shown, f"{len(rows) - SHOWN} more"] if len(rows) > SHOWN else shown)


def _by(row: Row) -> str:
    return difference_text(row.change.difference.difference, row.figure.unit)


def _could_have_seen(rows: Sequence[Row]) -> str:
    limits = [row.change.difference.mde for row in rows if row.figure.unit == "share"]
    known = limits and None not in limits
    return f", where {size_text(max(limits), 'share')} or more would probably have been seen" if known else ""


def _values(rows: Sequence[Row]) -> str:
    first, *others = rows
    shares = [row for row in others if row.figure.unit == "share" and row.figure.better == "high"]
    if not shares:
        return _value(first)
    lowest = min(shares, key=lambda row: row.figure.estimate.value)
    return f"{_value(first)}; the lowest of {counted(len(shares), 'other headline share')} is {_value(lowest)}"


def _value(row: Row) -> str:
    return f"“{row.title}” {value_text(row.figure.estimate.value, row.figure.unit)}"


def _reservations(page: Page, measured: Sequence[Row]) -> list[str]:
    lost, errors = len(page.headlines) + len(page.missing) - len(measured), len(page.result.errors)
    apart = [row for row in measured if row.change and row.change.difference is None]
    missing = [f"{counted(lost, 'headline figure')} could not be measured"] if lost and measured else []
    missing += [f"{counted(len(apart), 'headline figure')} not compared"] if 0 < len(apart) < len(measured) else []
    behind = len([row for row in page.with_outcome("worse") if row not in page.headlines])
    missing += [f"{counted(behind, 'figure')} behind the headlines got worse"] if behind else []
    missing += [f"{counted(errors, 'request')} got no answer"] if errors else []
    missing += [f"{counted(page.unasked, 'question')} not asked yet"] if page.unasked > 0 else []
    return missing


def _the_figures(rows: Sequence[Row]) -> str:
    return f"the {counted(len(rows), 'headline figure')}"
