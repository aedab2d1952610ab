"""The figures of techniques: what is good, what each gains over zero-shot, what is bluffed, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.figures import Figure, Section, Unit
from eval.meaning import Meaning
from eval.prompting.cells import Cell
from eval.prompting.comparison import Comparison, Contrast, compare_techniques
from eval.prompting.technique import REFERENCE
from eval.records import Record
from eval.scores.almanac import fact_outcome
from eval.scores.prompted import bluffs, good_answer
from eval.statistics import Statistic

GAIN = Meaning(
    formula="mean over questions of (1 if the technique's answer is good) - (1 if zero-shot's is)",
    source="paired difference (Miller 2024, arXiv:2411.00640), on questions that the choice of the finalists never saw",
    caveat="the p-value beside it is adjusted by Holm for all finalists, the interval is its own: the largest of "
    "several gains is partly chance",
    low=-1.0,
)
SEARCHED = Meaning(
    formula=good_answer.meaning.formula + ", on the questions it was asked before it dropped out",
    source="successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943)",
    caveat="it was dropped because this was low, so it is lower than it would be on new questions",
)
TOKENS = Meaning(
    formula="tokens of prompt and answer, of all its samples, as the server counts them",
    source="ours; what a provider bills, with both kinds at one price",
    caveat="a server that keeps the common beginning of prompts computes fewer than it counts",
    better="low",
    high=None,
)
SECONDS = Meaning(
    formula="seconds from sending to the end of the answer; of several samples, of the last",
    source="ours",
    caveat="measured under this run's own load, with the other techniques beside it",
    better="low",
    high=None,
)
UNCOUNTED = "the server counts no tokens"


@dataclass(frozen=True)
class Measure:
    """Something that is said of every technique; the key of its figures is "<technique>.<key>"."""

    key: str
    title: str
    statistic: Statistic
    unit: Unit
    meaning: Meaning
    of: Callable[[Cell], float]
    counts: Callable[[Cell], bool] = lambda cell: True
    """Of which questions it is said."""


MEASURES = (
    Measure("good", "Good answers", "share", "share", good_answer.meaning, lambda c: c.good),
    Measure(
        "known",
        "  Known facts answered right",
        "share",
        "share",
        fact_outcome.meaning,
        lambda c: c.good,
        lambda c: c.is_knowable,
    ),
    Measure(
        "bluff",
        "  Claimed to be known where nothing can be",
        "share",
        "share",
        bluffs.meaning,
        lambda c: c.bluffs,
        lambda c: not c.is_knowable,
    ),
    Measure("tokens", "Tokens a question", "mean", "number", TOKENS, lambda c: c.tokens),
    Measure("seconds", "Time to the answer", "median", "seconds", SECONDS, lambda c: c.seconds),
)


def summarise(records: Sequence[Record]) -> list[Section]:
    """Every measure of the finalists, what they gain, and what the others showed before they dropped out."""
    comparison = compare_techniques(records)
    sections = [Section(m.title.strip(), _of_finalists(comparison, m)) for m in MEASURES]
    gains = Section("Gained over zero-shot, in pairs", _gains(comparison))
    dropped = Section("Dropped in the search: good answers until then", _dropped(comparison))
    return [section for section in (sections[0], gains, *sections[1:], dropped) if section.figures]


def _of_finalists(comparison: Comparison, measure: Measure) -> list[Figure]:
    figures = (_figure(comparison, measure, name, comparison.fresh(name)) for name in comparison.finalists)
    return [figure for figure in figures if figure.n or figure.errors]


def _figure(comparison: Comparison, measure: Measure, name: str, cells: Sequence[Cell]) -> Figure:
    cells = [cell for cell in cells if measure.counts(cell)]
    replied = [cell for cell in cells if cell.replied]
    is_merit = measure.key in ("good", "bluff")
    uncounted = measure.key == "tokens" and not any(cell.tokens for cell in replied)
    return Figure(
        f"{name}.{measure.key}",
        comparison.title(name),
        measure.statistic,
        [cell.observed(measure.of(cell)) for cell in replied],
        len(cells) - len(replied),
        better=measure.meaning.better,
        unit=measure.unit,
        meaning=measure.meaning,
        unmeasurable=(comparison.why_not(name) if is_merit else "") or (UNCOUNTED if uncounted else ""),
    )


def _gains(comparison: Comparison) -> list[Figure]:
    figures = []
    for name in comparison.finalists:
        if name == REFERENCE:
            continue
        pairs = comparison.pairs(REFERENCE, name)
        contrast = comparison.contrasts.get(name)
        figure = Figure(
            f"{name}.gain",
            f"{comparison.title(name)}, {p_text(contrast)}" if contrast else comparison.title(name),
            "mean",
            [after.observed(after.good - before.good) for before, after in pairs],
            len(comparison.fresh(name)) - len(pairs),
            meaning=GAIN,
            unmeasurable=comparison.why_not(REFERENCE) or comparison.why_not(name),
        )
        figures.append(figure)
    return figures


def _dropped(comparison: Comparison) -> list[Figure]:
    measure = Measure("search", "", "share", "share", SEARCHED, lambda cell: cell.good)
    return [_figure(comparison, measure, name, comparison.seen(name)) for name in comparison.dropped]


def p_text(contrast: Contrast) -> str:
    """ "p 0.012", "p < 0.001"."""
    return f"p {contrast.p:.3f}" if contrast.p >= 0.001 else "p < 0.001"
