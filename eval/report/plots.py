"""The drawings of the report: intervals, curves, and the map of right and wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from eval.compare import Outcome
from eval.figures import Figure, Unit
from eval.report.svg import drawing, element, path, percent, text
from eval.report.words import LARGE, MINUS
from eval.statistics import Estimate

Tone = Literal["plain"] | Outcome
Cell = Literal["right", "wrong", "refused", "error", "absent"]
INTERVAL_HEIGHT = 22
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 300, 62, 14, 14, 44
CELL, CELL_GAP, ROW_LABEL, COLUMN_LABEL = 20, 2, 240, 116
LONGEST_ROW_LABEL, LONGEST_COLUMN_LABEL = 35, 22
MOST_TICKS, DECADES_WITH_STEPS = 7, 4
FAR_APART = 100
"""Where the largest is so many times the smallest, an axis is logarithmic: else the small would all be at its end."""


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`; with `log` both are above zero."""

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    unit: Unit = "number"
    log: bool = False

    def place(self, value: float) -> float:
        """Where on the axis a value is: 0 at its low end, 1 at its high end; what lies outside is put at an end."""
        at = (lambda v: math.log(max(v, self.low))) if self.log else float
        return min(1.0, max(0.0, (at(value) - at(self.low)) / (at(self.high) - at(self.low))))


@dataclass(frozen=True)
class Series:
    """One line of a chart; `whiskers` are the ends of an interval at each point, `labels` what is written beside it."""

    name: str
    points: Sequence[tuple[float, float]]
    style: Literal["line", "ghost", "guide", "dots"] = "line"
    whiskers: Sequence[tuple[float, float]] = ()
    labels: Sequence[str] = ()


def share_axis(label: str) -> Axis:
    return Axis(label, 0, 1, (0, 0.25, 0.5, 0.75, 1), "share")


def spanning(label: str, values: Sequence[float], unit: Unit, from_zero: bool = False) -> Axis:
    """An axis with round ends that holds all `values`."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    step = _round_step((high - low) / 4 or abs(high) or 1.0)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    return Axis(label, first * step, last * step, [place * step for place in range(first, last + 1)], unit)


def log_axis(label: str, values: Sequence[float], unit: Unit) -> Axis:
    """A logarithmic axis that holds all `values`, which are above zero; ticks at 1, 2 and 5 of a few decades."""
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    steps = (1, 2, 5) if len(decades) <= DECADES_WITH_STEPS else (1,)
    marks = [step * 10.0**decade for decade in decades for step in steps]
    low = max((mark for mark in marks if mark <= min(values)), default=marks[0])
    high = min((mark for mark in marks if mark >= max(values) and mark > low), default=marks[-1])
    ticks = [mark for mark in marks if low <= mark <= high]
    return Axis(label, low, high, ticks[:: math.ceil(len(ticks) / MOST_TICKS)], unit, log=True)


def _round_step(step: float) -> float:
    scale = 10.0 ** math.floor(math.log10(step))
    return next(size * scale for size in (1, 2, 2.5, 5, 10) if size * scale >= step * 0.999)


def axis_of(figures: Sequence[Figure], ghosts: Sequence[Estimate | None] = ()) -> Axis:
    """The axis on which these figures, of one unit, are comparable: 0 to 1 where all of them lie within."""
    estimates = [e for e in (*(figure.estimate for figure in figures), *ghosts) if e]
    ends = [end for e in estimates for end in (e.value, e.low, e.high) if math.isfinite(end)]
    unit = figures[0].unit
    if not ends or (unit != "seconds" and all(0 <= end <= 1 for end in ends)):
        return Axis("", 0, 1, (0, 0.5, 1), unit)
    if min(ends) > 0 and max(ends) > FAR_APART * min(ends):
        return log_axis("", ends, unit)
    return spanning("", ends, unit, from_zero=min(ends) >= 0)


def interval(estimate: Estimate | None, axis: Axis, ghost: Estimate | None = None, tone: Tone = "plain") -> Markup:
    """One row of a forest plot, as wide as the page lets it be; the baseline is a hollow point."""
    middle = INTERVAL_HEIGHT / 2
    marks = [element("line", x1="0%", x2="100%", y1=middle, y2=middle, class_="rail")]
    marks += [_vertical(axis.place(tick), "rail tickmark") for tick in axis.ticks]
    if ghost:
        marks.append(element("circle", cx=percent(axis.place(ghost.value)), cy=middle, r=5.5, class_="ghost-point"))
    if estimate:
        low, high, value = (percent(axis.place(end)) for end in (estimate.low, estimate.high, estimate.value))
        marks.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_=f"whisker {tone}"))
        marks += [_vertical(axis.place(end), f"whisker cap {tone}", 4) for end in (estimate.low, estimate.high)]
        marks.append(element("circle", cx=value, cy=middle, r=4.5, class_=f"point {tone}"))
    return element("svg", *marks, class_="interval", height=INTERVAL_HEIGHT, aria_hidden="true")


def scale_of(axis: Axis) -> Markup:
    """The numbers under a forest plot: its ends, and the middle of three."""
    marks = [
        text(tick_text(axis, axis.low), "0%", 11, anchor="start"),
        text(tick_text(axis, axis.high), "100%", 11, anchor="end"),
    ]
    if len(axis.ticks) == 3:
        marks.append(text(tick_text(axis, axis.ticks[1]), percent(axis.place(axis.ticks[1])), 11))
    return element("svg", *marks, class_="interval scale", height=14, aria_hidden="true")


def _vertical(share: float, class_: str, half: float = 3) -> Markup:
    middle, x = INTERVAL_HEIGHT / 2, percent(share)
    return element("line", x1=x, x2=x, y1=middle - half, y2=middle + half, class_=class_)


def chart(title: str, x: Axis, y: Axis, series: Sequence[Series]) -> Markup:
    """Lines and points over two labelled axes, with a legend where there is more than one named line."""
    marks = [*_x_axis(x), *_y_axis(y), *_legend([entry for entry in series if entry.name])]
    for number, entry in enumerate(series):
        marks += _drawn(entry, number, lambda px, py: (_across(x, px), _up(y, py)))
    return drawing(WIDTH, HEIGHT, title, *marks)


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)


def _up(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)


def _x_axis(axis: Axis) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    marks = [text(tick_text(axis, tick), _across(axis, tick), floor + 17) for tick in axis.ticks]
    return [*marks, text(axis.label, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "axis-label")]


def _y_axis(axis: Axis) -> list[Markup]:
    marks = []
    for tick in axis.ticks:
        y = _up(axis, tick)
        marks.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        marks.append(text(tick_text(axis, tick), LEFT - 8, y + 4, anchor="end"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = element(
        "text",
        axis.label,
        x=12,
        y=middle,
        class_="axis-label",
        text_anchor="middle",
        transform=f"rotate(-90 12 {middle:.0f})",
    )
    return [*marks, turned]


def _legend(series: Sequence[Series]) -> list[Markup]:
    if len(series) < 2:
        return []
    marks = []
    for number, entry in enumerate(series):
        y = HEIGHT - BOTTOM - 14 - 17 * (len(series) - 1 - number)
        marks.append(
            element("line", x1=WIDTH - 190, x2=WIDTH - 168, y1=y, y2=y, class_=f"line {entry.style} s{number}")
        )
        marks.append(text(entry.name, WIDTH - 162, y + 4, anchor="start"))
    return marks


def _drawn(series: Series, number: int, at: Callable[[float, float], tuple[float, float]]) -> list[Markup]:
    points = [at(*point) for point in series.points]
    marks = [path(points, f"line {series.style} s{number}")] if series.style != "dots" else []
    for (x, _), (low, high) in zip(series.points, series.whiskers, strict=False):
        marks.append(path([at(x, low), at(x, high)], "whisker plain"))
    if series.style == "dots" or (series.style == "line" and len(points) <= 12):
        marks += [element("circle", cx=px, cy=py, r=4.5, class_="point plain") for px, py in points]
    named = zip(points, series.labels, strict=False)
    marks += [text(label, x + 8, y - 6, "axis-label", "start") for (x, y), label in named]
    return marks


def tick_text(axis: Axis, value: float) -> str:
    if axis.unit == "share":
        return f"{100 * value:g} %".replace("-", MINUS)
    if axis.unit == "seconds":
        return f"{value:g} s" if axis.high > 1 else f"{1000 * value:g} ms"
    scale, name = next(((scale, f" {name}") for scale, name in LARGE if abs(value) >= scale), (1, ""))
    return f"{value / scale:,g}{name}".replace("-", MINUS)


def heat_map(title: str, rows: Sequence[tuple[str, Mapping[str, Cell]]], columns: Sequence[str]) -> Markup:
    """Questions down, variants across. A cell's mark says the same as its colour."""
    pitch = CELL + CELL_GAP
    marks = []
    for place, column in enumerate(columns):
        x = ROW_LABEL + place * pitch + CELL * 0.7
        turned = f"rotate(-50 {x:.0f} {COLUMN_LABEL - 6})"
        marks.append(
            element("text", column[:LONGEST_COLUMN_LABEL], x=x, y=COLUMN_LABEL - 6, class_="tick", transform=turned)
        )
    for place, (label, cells) in enumerate(rows):
        y = COLUMN_LABEL + place * pitch
        name = label if len(label) <= LONGEST_ROW_LABEL else f"{label[: LONGEST_ROW_LABEL - 1]}…"
        marks.append(element("g", element("title", label), text(name, ROW_LABEL - 8, y + 14, anchor="end")))
        for number, column in enumerate(columns):
            marks.append(_cell(ROW_LABEL + number * pitch, y, cells.get(column, "absent"), f"{label} · {column}"))
    width, height = ROW_LABEL + len(columns) * pitch + 100, COLUMN_LABEL + len(rows) * pitch + 4
    return drawing(width, height, title, *marks, class_="heat", scales=False)


def _cell(x: float, y: float, kind: Cell, where: str) -> Markup:
    box = element("rect", x=x, y=y, width=CELL, height=CELL, rx=3, class_=f"cell {kind}")
    a, b, c, d, middle = x + 6, x + CELL - 6, y + 6, y + CELL - 6, y + CELL / 2
    signs = {
        "wrong": [path([(a, c), (b, d)], "sign"), path([(a, d), (b, c)], "sign")],
        "refused": [path([(a, middle), (b, middle)], "sign")],
        "error": [text("!", x + CELL / 2, y + 14, "sign-text")],
    }
    return element("g", element("title", f"{where}: {kind}"), box, *signs.get(kind, ()))
