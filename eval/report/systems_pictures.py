"""Drawings with all systems in each."""

from collections.abc import Sequence
from statistics import median
from textwrap import shorten

from eval.figures import Figure
from eval.report.picture import Picture
from eval.report.pictures import latencies
from eval.report.plots import Series, chart, log_axis, share_axis
from eval.systems.side_by_side import System

LONGEST_LABEL = 40


def quality_by_latency(systems: Sequence[System]) -> list[Picture]:
    """The first headline share that all have, against the seconds to an answer; none where fewer than two have both."""
    seconds = {s.letter: median(times) for s in systems if (times := latencies(s.result.records))}
    timed = [system for system in systems if system.letter in seconds]
    shares = [key for key in (systems[0].result.suite.headlines) if len(_measured(key, timed)) == len(timed) > 1]
    if not shares:
        return []
    figures = _measured(shares[0], timed)
    series = [
        Series(
            "",
            [(seconds[s.letter], f.estimate.value)],
            "dots",
            [(f.estimate.low, f.estimate.high)],
            [s.letter],
        )
        for s, f in zip(timed, figures, strict=True)
    ]
    x = log_axis("median seconds to a whole answer", list(seconds.values()), "seconds")
    drawn = chart("Quality against time", x, share_axis(shorten(figures[0].label.strip(), LONGEST_LABEL)), series)
    caption = (
        f"“{figures[0].label.strip()}” with its own 95 % interval, against the time that each system took under its "
        "run's own load. Above and to the left is better."
    )
    return [Picture("Quality against time", drawn, caption)]


def _measured(key: str, systems: Sequence[System]) -> list[Figure]:
    found = [system.result.figures.get(key) for system in systems]
    return [f for f in found if f and f.estimate and f.unit == "share" and f.better == "high"]
