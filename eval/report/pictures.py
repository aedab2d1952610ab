"""Which drawings a report has: calibration where a figure carries confidences, latencies of every run."""

import math
import re
from collections.abc import Mapping, Sequence

from eval.calibration import reliability_bins, risk_coverage_curve
from eval.figures import Figure
from eval.records import Record
from eval.replies import Answer
from eval.report.picture import Findings, Picture
from eval.report.plots import Axis, Series, chart, log_axis, share_axis, spanning
from eval.report.words import counted, value_text
from eval.result import Result

SMALLEST_CURVE = 10
MOST_STEPS = 200
IN_FLIGHT = re.compile(r"(?P<measure>.+)\.(?P<lane>\d+)_in_flight(?:\.(?P<statistic>\w+))?")


def calibration_pictures(findings: Findings) -> list[Picture]:
    """A reliability diagram of every measurable ECE, a risk-coverage curve of every measurable AURC."""
    drawn = {"ece": _reliability, "aurc": _risk_coverage}
    return [drawn[f.statistic](f) for f in findings.figures if f.statistic in drawn and f.estimate]


def _reliability(figure: Figure) -> Picture:
    bins = reliability_bins(figure.observations)
    points = [(b.confidence, b.accuracy.value) for b in bins]
    found = Series("", points, "dots", [(b.accuracy.low, b.accuracy.high) for b in bins])
    guide = Series("", [(0, 0), (1, 1)], "guide")
    svg = chart("Reliability diagram", share_axis("mean confidence"), share_axis("share right"), [guide, found])
    caption = (
        f"{figure.label.strip()}: each point is a tenth of {counted(figure.n, 'answer')} with its 95 % interval. "
        "On the dashed line confidence equals the share right; below it the model is surer than it should be."
    )
    return Picture("Reliability", svg, caption)


def _risk_coverage(figure: Figure) -> Picture:
    curve = risk_coverage_curve(figure.observations)
    last = curve[-1].risk
    series = [Series("", [(0, last), (1, last)], "guide"), Series("", _thinned([(p.coverage, p.risk) for p in curve]))]
    risks = [0.0, *(point.risk for point in curve)]
    svg = chart("Risk-coverage curve", share_axis("share answered"), spanning("share wrong", risks, "share"), series)
    caption = (
        f"{figure.label.strip()}: the share wrong when only the most confident answers are kept. "
        f"The dashed line ({value_text(last, 'share')}) is what keeping answers by lot would give."
    )
    return Picture("Risk and coverage", svg, caption)


def concurrency_pictures(findings: Findings) -> list[Picture]:
    """Over the number of requests in flight: every time and rate whose keys end in ".<n>_in_flight[.statistic]"."""
    measures: dict[str, dict[str, list[tuple[int, Figure]]]] = {}
    for figure in findings.figures:
        if (match := IN_FLIGHT.fullmatch(figure.key)) and figure.estimate and figure.unit != "share":
            curves = measures.setdefault(match["measure"], {})
            curves.setdefault(match["statistic"] or figure.statistic, []).append((int(match["lane"]), figure))
    drawn = {name: {k: curve for k, curve in curves.items() if len(curve) > 1} for name, curves in measures.items()}
    return [_by_concurrency(findings.title_of(next(iter(c.values()))[0][1]), c) for c in drawn.values() if c]


def _by_concurrency(title: str, curves: Mapping[str, Sequence[tuple[int, Figure]]]) -> Picture:
    series = [
        Series(
            name,
            [(lane, figure.estimate.value) for lane, figure in curve],
            whiskers=[(figure.estimate.low, figure.estimate.high) for _, figure in curve],
        )
        for name, curve in curves.items()
    ]
    figures = [figure for curve in curves.values() for _, figure in curve]
    ends = [end for figure in figures for end in (figure.estimate.low, figure.estimate.high) if math.isfinite(end)]
    lanes = sorted({lane for curve in curves.values() for lane, _ in curve})
    x = Axis("requests in flight", lanes[0], lanes[-1], lanes, log=True)
    y = spanning("", ends, figures[0].unit, from_zero=True)
    return Picture(title, chart(title, x, y, series), f"{title} by requests in flight, with 95\xa0% intervals.")


def latency_picture(result: Result, baseline: Result | None) -> Picture | None:
    """The distribution of the time to a whole answer; None where too few answers came from a server."""
    now = latencies(result.records)
    before = latencies(baseline.records) if baseline else []
    if len(now) < SMALLEST_CURVE:
        return None
    series = [Series("this run", _distribution(now))]
    if len(before) >= SMALLEST_CURVE:
        series.append(Series("baseline", _distribution(before), "ghost"))
    x = log_axis("seconds from sending to the last token", [*now, *(before if len(series) > 1 else ())], "seconds")
    svg = chart("Distribution of latencies", x, share_axis("share of the answers"), series)
    middle, late = (value_text(now[int(share * (len(now) - 1))], "seconds") for share in (0.5, 0.95))
    caption = (
        f"{counted(len(now), 'answer')}: half came within {middle}, 19 of 20 within {late}. "
        "Measured under this run's own load, queueing at the server included."
    )
    return Picture("Time to a whole answer", svg, caption)


def latencies(records: Sequence[Record]) -> list[float]:
    """Seconds to the whole answer of everything that a server answered in words, the fastest first."""
    return sorted(r.reply.latency_s for r in records if isinstance(r.reply, Answer) and r.reply.latency_s > 0)


def _distribution(ordered: Sequence[float]) -> list[tuple[float, float]]:
    return _thinned([(value, (place + 1) / len(ordered)) for place, value in enumerate(ordered)])


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """No more points than a drawing of this size can show, the last one always among them."""
    step = max(1, len(points) // MOST_STEPS)
    return [*points[:-1:step], points[-1]]
