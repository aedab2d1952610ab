"""The one sentence at the top: what was decided, what could not be, and what stands against trusting it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from eval.report.page import Page, Row
from eval.report.words import counted, difference_text, enumerated, size_text, value_text

SHOWN = 3


class Verdict(NamedTuple):
    tone: Literal["better", "worse", "mixed", "none", "measured", "unknown"]
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
    return Verdict(tone, "; ".join([said, *_reservations(page, measured)]) + ".")


def _compared(rows: Sequence[Row], baseline: str) -> tuple[str, str]:
    better, worse, same, changed = (
        [row for row in rows if row.change.outcome == outcome] for outcome in ("better", "worse", "none", "changed")
    )
    others = f"; no difference found in {counted(len(same), 'other headline figure')}" if same else ""
    if better and worse:
        return "mixed", f"Mixed against {baseline}: better in {_changes(better)}; worse in {_changes(worse)}{others}"
    if better or worse:
        opening = "Better than" if better else "Worse than"
        return "better" if better else "worse", f"{opening} {baseline} in {_changes(better or worse)}{others}"
    if changed:
        return "none", f"Neither better nor worse than {baseline}, but changed in {_changes(changed)}{others}"
    if same:
        return "none", f"No difference to {baseline} found in {_the_figures(same)}{_could_have_seen(same)}"
    return "unknown", f"Nothing could be compared with {baseline} (A is the baseline): {rows[0].change.why}"


def _changes(rows: Sequence[Row]) -> str:
    shown = [f"“{row.title}” ({_by(row)})" for row in rows[:SHOWN]]
    return enumerated([*shown, f"{len(rows) - SHOWN} more"] if len(rows) > SHOWN else shown)


def _by(row: Row) -> str:
    return difference_text(row.change.difference.difference, row.figure.unit)


def _could_have_seen(rows: Sequence[Row]) -> str:
    shares = [row.change.difference.mde for row in rows if row.figure.unit == "share"]
    limits = [limit for limit in shares if limit]
    return f", where {size_text(max(limits), 'share')} or more would probably have been seen" if limits else ""


def _values(rows: Sequence[Row]) -> str:
    shown = [f"“{row.title}” {value_text(row.figure.estimate.value, row.figure.unit)}" for row in rows[:SHOWN]]
    rest = [f"{counted(len(rows) - SHOWN, 'more headline figure')} below"] if len(rows) > SHOWN else []
    return "; ".join([*shown, *rest])


def _reservations(page: Page, measured: Sequence[Row]) -> list[str]:
    lost, errors = len(page.headlines) + len(page.missing) - len(measured), len(page.result.errors)
    apart = [row for row in measured if row.change and row.change.difference is None]
    missing = [f"{counted(lost, 'headline figure')} could not be measured"] if lost and measured else []
    missing += [f"{counted(len(apart), 'headline figure')} not compared"] if 0 < len(apart) < len(measured) else []
    missing += [f"{counted(errors, 'request')} got no answer"] if errors else []
    missing += [f"{counted(page.unasked, 'question')} not asked yet"] if page.unasked > 0 else []
    return missing


def _the_figures(rows: Sequence[Row]) -> str:
    return f"the {counted(len(rows), 'headline figure')}"
