"""What a swapped group changes beside what a rewording changes, as paired dots by axis."""

from collections.abc import Sequence

from markupsafe import Markup

from eval.figures import Figure
from eval.report.picture import Findings, Picture
from eval.report.plots import Axis, spanning, tick_text
from eval.report.svg import drawing, element, path, text
from eval.report.words import counted
from eval.statistics import Estimate

SWAPPED, REWORDED, EFFECT = "swapped", "reworded", "effect"
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 460, 104, 14, 34, 40
ROW, APART = 34, 6
"""Pixels from row to row, and of a dot from the middle of its row."""


def swap_pictures(findings: Findings) -> list[Picture]:
    """Of a task with the figures "swapped" and "reworded": a row for all axes, and one for each that is measurable."""
    figures = {figure.key.split(".", 1)[1]: figure for figure in findings.figures if figure.estimate}
    axes = [key.removeprefix(SWAPPED) for key in figures if key.split(".")[0] == SWAPPED]
    rows = [
        (axis, figures[SWAPPED + axis], figures[REWORDED + axis])
        for axis in axes
        if REWORDED + axis in figures and EFFECT + axis in figures
    ]
    if not rows:
        return []
    biased = [axis for axis, *_ in rows if axis and figures[EFFECT + axis].estimate.low > 0]
    return [Picture("A swapped group beside a rewording", _drawn(rows), _caption(rows, biased))]


def _caption(rows: Sequence[tuple[str, Figure, Figure]], biased: Sequence[str]) -> str:
    found = ", ".join(axis.removeprefix(".") for axis in biased) or "none"
    return (
        "The share of pairs of answers that differ, with 95 % intervals, over "
        f"{counted(rows[0][1].n, 'question')}. Filled: another group in the same words. Hollow, below it: the same "
        "group in other words, which is the control. A group matters where its filled dot lies surely to the right of "
        f"the hollow one; the paired intervals of the table say so for: {found}."
    )


def _drawn(rows: Sequence[tuple[str, Figure, Figure]]) -> Markup:
    height = TOP + ROW * len(rows) + BOTTOM
    ends = [end for _, *pair in rows for figure in pair for end in (figure.estimate.low, figure.estimate.high)]
    axis = spanning("share of pairs that differ", ends, "share", from_zero=True)
    floor = TOP + ROW * len(rows)
    marks = [text(tick_text(axis, tick), _across(axis, tick), floor + 16) for tick in axis.ticks]
    marks += [path([(_across(axis, tick), TOP - 4), (_across(axis, tick), floor)], "grid") for tick in axis.ticks]
    marks.append(text(axis.label, (LEFT + WIDTH - RIGHT) / 2, height - 6, "axis-label"))
    marks += _legend()
    for number, (name, swapped, reworded) in enumerate(rows):
        middle = TOP + ROW * (number + 0.5)
        marks.append(text(name.removeprefix(".") or "all", LEFT - 10, middle + 4, anchor="end"))
        marks += _dot(axis, swapped.estimate, middle - APART, "point plain")
        marks += _dot(axis, reworded.estimate, middle + APART, "ghost-point")
    return drawing(WIDTH, height, "Swapped group and rewording, by axis", *marks)


def _legend() -> list[Markup]:
    return [
        element("circle", cx=LEFT + 6, cy=14, r=4.5, class_="point plain"),
        text("swapped group", LEFT + 16, 18, anchor="start"),
        element("circle", cx=LEFT + 136, cy=14, r=4.5, class_="ghost-point"),
        text("rewording", LEFT + 146, 18, anchor="start"),
    ]


def _dot(axis: Axis, estimate: Estimate, y: float, style: str) -> list[Markup]:
    low, high = (_across(axis, end) for end in (estimate.low, estimate.high))
    tone = "plain" if style == "point plain" else "none"
    whisker = path([(low, y), (high, y)], f"whisker {tone}")
    return [whisker, element("circle", cx=_across(axis, estimate.value), cy=y, r=4.5, class_=style)]


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
