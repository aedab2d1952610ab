"""Figures as a person reads them in a terminal."""

import textwrap
from collections.abc import Sequence

from eval.figures import Figure, Section

NOT_MEASURABLE = "not measurable"


def render(sections: Sequence[Section]) -> str:
    """One aligned table: label, value, 95 % interval, answers; errors, unreadable answers and an example, if any."""
    width = max((len(figure.label) for section in sections for figure in section.figures), default=0) + 2
    head = f"{'':{width}}{'value':>8}  {'95 % interval':<15}{'n':>6}"
    blocks = []
    for section in sections:
        if section.figures:
            rows = [f"{'  ' + figure.label:{width}}{_cells(figure)}" for figure in section.figures]
            blocks.append("\n".join([section.title, *rows]))
    return "\n\n".join([head + "\n" + blocks[0], *blocks[1:]]) if blocks else ""


def _cells(figure: Figure) -> str:
    tail = f"  {figure.errors} error{'s' * (figure.errors > 1)}" if figure.errors else ""
    tail += f"  {figure.unparsed} unreadable" if figure.unparsed else ""
    tail += f"  {textwrap.shorten(figure.example, 70)}" if figure.example else ""
    if figure.estimate is None:
        return f"{NOT_MEASURABLE:>25}{figure.n:>6}{tail}  ({figure.why_not})"
    value, low, high = figure.estimate[:3]
    if figure.unit == "seconds":
        return f"{1000 * value:>5.1f} ms  {f'{1000 * low:.1f} - {1000 * high:.1f}':<15}{figure.n:>6}{tail}"
    if figure.unit != "share":
        return f"{value:>8.3f}  {f'{low:.3f} - {high:.3f}':<15}{figure.n:>6}{tail}"
    return f"{100 * value:>6.1f} %  {f'{100 * low:.1f} - {100 * high:.1f}':<15}{figure.n:>6}{tail}"
