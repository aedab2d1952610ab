"""What to do after techniques were compared, in words: a table, the best one first, and a recommendation below it."""

from collections.abc import Callable, Sequence
from statistics import fmean, median

from eval.prompting.cells import Cell
from eval.prompting.comparison import Comparison, Contrast, compare_techniques
from eval.prompting.figures import p_text
from eval.prompting.technique import REFERENCE
from eval.records import Record
from eval.report.words import difference_text

HEAD = ("", "good", "over zero-shot (95 % of all)", "p", "known right", "bluffed", "tokens", "time")


def conclude(records: Sequence[Record]) -> str:
    """The table and the sentences below it."""
    comparison = compare_techniques(records)
    return "\n\n".join(("\n".join(_table(comparison)), "\n".join(sentences(comparison))))


def sentences(comparison: Comparison) -> list[str]:
    """The recommendation with its uncertainty, what is surely worse, and what the search has saved."""
    if not comparison.finalists:
        return ["The search is not finished: nothing can be recommended yet."]
    if why := comparison.why_not(REFERENCE):
        return [f"Nothing can be recommended: zero-shot cannot be measured ({why})."]
    said = [_recommended(comparison), *_worse(comparison)]
    said += [
        f"Not measurable: {comparison.title(name)} ({why})."
        for name in comparison.table
        if (why := comparison.why_not(name))
    ]
    return [*said, *_saved(comparison)]


def _recommended(comparison: Comparison) -> str:
    best = comparison.best
    if best is None:
        alike = (c for c in comparison.contrasts.values() if not c.is_worse)
        seen = [contrast.found.mde for contrast in alike if contrast.found.mde is not None]
        could = f"; {_points(max(seen)).removeprefix('+')} points could have been seen" if seen else ""
        return f"No technique is better than zero-shot on {_count(comparison)}{could}."
    contrast = comparison.contrasts[best]
    said = (
        f"Use {comparison.title(best)}: {_gain(contrast)}, {p_text(contrast)}, "
        f"{_more_tokens(contrast)} a question than zero-shot"
    )
    equals = [f"{comparison.title(name)} ({_more_tokens(c)})" for name, c in comparison.equals.items()]
    return f"{said}; not told apart from {', '.join(equals)}." if equals else f"{said}."


def _worse(comparison: Comparison) -> list[str]:
    """Also those that dropped out, with p-values that hold for them."""
    surely = [(n, c) for n, c in (comparison.contrasts | comparison.warnings).items() if c.is_worse]
    surely.sort(key=lambda entry: entry[1].found.difference)
    named = [f"{comparison.title(name)} ({_gain(contrast)}, {p_text(contrast)})" for name, contrast in surely]
    return [f"Worse than zero-shot: {'; '.join(named)}."] if named else []


def _saved(comparison: Comparison) -> list[str]:
    if not comparison.dropped:
        return []
    asked = comparison.planned - comparison.left_out
    return [
        f"The search dropped {len(comparison.dropped)} of {len(comparison.table) - 1} techniques and needed {asked:,} "
        f"of {comparison.planned:,} requests ({100 * comparison.left_out / comparison.planned:.0f} % saved); "
        "--full asks every technique everything."
    ]


def _count(comparison: Comparison) -> str:
    return f"{len(comparison.fresh(REFERENCE))} {'fresh ' if comparison.dropped else ''}questions"


def _gain(contrast: Contrast) -> str:
    ends = f"{_points(contrast.low)} to {_points(contrast.high)}"
    return f"{_points(contrast.found.difference)} points ({ends})"


def _points(share: float) -> str:
    return difference_text(share, "share").removesuffix("\N{NO-BREAK SPACE}points")


def _more_tokens(contrast: Contrast) -> str:
    more = round(contrast.tokens)
    return f"{abs(more):,} tokens {'fewer' if more < 0 else 'more'}" if more else "as many tokens"


def _table(comparison: Comparison) -> list[str]:
    """Finalists by what they gain, then those that dropped out, the last first."""
    gains = {name: contrast.found.difference for name, contrast in comparison.contrasts.items()}
    order = sorted(comparison.finalists, key=lambda name: -gains.get(name, 0.0))
    order += sorted(comparison.dropped, key=lambda name: -comparison.dropped[name])
    rows = [HEAD, *(_row(comparison, name) for name in order)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(_aligned(row, widths)).rstrip() for row in rows]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def _row(comparison: Comparison, name: str) -> tuple[str, ...]:
    cells = [cell for cell in comparison.seen(name) if cell.replied]
    known, unknown = ([cell for cell in cells if cell.is_knowable is side] for side in (True, False))
    mark = "* " if name == comparison.best else "  "
    if name in comparison.dropped:
        contrast, against = comparison.warnings.get(name), f"dropped after {len(cells)} questions"
    else:
        contrast = comparison.contrasts.get(name)
        against = _gain(contrast) if contrast else ""
    says_p = contrast and (name in comparison.finalists or contrast.is_worse)
    return (
        f"{mark}{comparison.title(name)}",
        _percent(cells, lambda cell: cell.good),
        against,
        p_text(contrast).removeprefix("p ") if says_p else "",
        _percent(known, lambda cell: cell.good),
        _percent(unknown, lambda cell: cell.bluffs),
        f"{fmean(cell.tokens for cell in cells):,.0f}" if cells else "",
        f"{1000 * median(cell.seconds for cell in cells):,.0f} ms" if cells else "",
    )


def _percent(cells: Sequence[Cell], value: Callable[[Cell], float]) -> str:
    return f"{100 * fmean(map(value, cells)):.1f} %" if cells else ""
