"""What prompting techniques give and what they cost: good answers against tokens, with the recommendation below."""

from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from eval.prompting.comparison import Comparison, compare_techniques
from eval.prompting.conclusion import sentences
from eval.prompting.technique import REFERENCE
from eval.report.picture import Findings, Picture
from eval.report.plots import Axis, log_axis, spanning, tick_text
from eval.report.svg import drawing, element, path, text
from eval.statistics import Estimate, estimate

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 320, 62, 278, 14, 48
"""The names stand to the right of RIGHT, where the axes end."""
LINE, NAMES_AT = 17, RIGHT + 16
SIGNS = {"better": "▲ ", "worse": "▼ "}


@dataclass(frozen=True)
class Point:
    """One technique on the drawing."""

    title: str
    tokens: float
    good: Estimate
    is_dropped: bool
    tone: str


def prompting_pictures(findings: Findings) -> list[Picture]:
    """Of a task whose questions were asked in several techniques, where the server counts tokens."""
    if not findings.records or "technique" not in findings.records[0].sample:
        return []
    comparison = compare_techniques(findings.records)
    points = [point for name in comparison.table if (point := _point(comparison, name))]
    if len(points) < 2:
        return []
    caption = (
        "The share of good answers with its 95\N{NO-BREAK SPACE}% interval. Above and to the left is better; ▲ is "
        "surely better than zero-shot, ▼ surely worse; what is hollow was dropped by the search after few questions. "
    )
    return [Picture("What a prompt gives and costs", _drawn(points), caption + " ".join(sentences(comparison)))]


def _point(comparison: Comparison, name: str) -> Point | None:
    """None where its answers or its tokens cannot be measured."""
    cells = [cell for cell in comparison.seen(name) if cell.replied]
    good = estimate("share", [cell.observed(cell.good) for cell in cells])
    tokens = fmean(cell.tokens for cell in cells) if cells else 0.0
    if not good or not tokens or comparison.why_not(name):
        return None
    is_dropped, contrast = name in comparison.dropped, (comparison.contrasts | comparison.warnings).get(name)
    tone = "better" if contrast and contrast.is_better else "worse" if contrast and contrast.is_worse else "none"
    return Point(comparison.title(name), tokens, good, is_dropped, "plain" if name == REFERENCE else tone)


def _drawn(points: list[Point]) -> Markup:
    x = log_axis("tokens a question", [point.tokens for point in points], "number")
    y = spanning("good answers", [end for point in points for end in (point.good.low, point.good.high)], "share")
    marks = _axes(x, y)
    places = [(_across(x, point.tokens), _up(y, point.good.value)) for point in points]
    for point, (px, py), name_y in zip(points, places, _apart([py for _, py in places]), strict=True):
        low, high = (_up(y, end) for end in (point.good.low, point.good.high))
        marks.append(element("line", x1=px, y1=py, x2=NAMES_AT - 4, y2=name_y, class_="grid"))
        marks.append(path([(px, low), (px, high)], f"whisker {point.tone}"))
        style = "ghost-point" if point.is_dropped else f"point {point.tone}"
        marks.append(element("circle", cx=px, cy=py, r=4.5, class_=style))
        marks.append(text(SIGNS.get(point.tone, "") + point.title, NAMES_AT, name_y + 4, anchor="start"))
    return drawing(WIDTH, HEIGHT, "Good answers against tokens", *marks)


def _axes(x: Axis, y: Axis) -> list[Markup]:
    floor = HEIGHT - BOTTOM
    marks = [text(tick_text(x, tick), _across(x, tick), floor + 17) for tick in x.ticks]
    marks.append(text(x.label, (LEFT + RIGHT) / 2, HEIGHT - 8, "axis-label"))
    for tick in y.ticks:
        marks.append(element("line", x1=LEFT, x2=RIGHT, y1=_up(y, tick), y2=_up(y, tick), class_="grid"))
        marks.append(text(tick_text(y, tick), LEFT - 8, _up(y, tick) + 4, anchor="end"))
    middle = (TOP + floor) / 2
    turned = f"rotate(-90 12 {middle:.0f})"
    label = element("text", y.label, x=12, y=middle, class_="axis-label", text_anchor="middle", transform=turned)
    return [*marks, label]


def _apart(heights: list[float]) -> list[float]:
    """The heights at which names can be read: near those of their points, a line apart, all within the drawing."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed, lowest = dict.fromkeys(order, 0.0), TOP
    for place in order:
        placed[place] = max(heights[place], lowest)
        lowest = placed[place] + LINE
    highest = HEIGHT - BOTTOM
    for place in reversed(order):
        placed[place] = min(placed[place], highest)
        highest = placed[place] - LINE
    return [placed[place] for place in range(len(heights))]


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.place(value) * (RIGHT - 12 - LEFT)


def _up(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
