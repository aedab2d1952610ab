"""Systems side by side as a person reads them in a terminal."""

from collections.abc import Iterable, Sequence

from eval.report.words import counted, interval_text, size_text, value_text
from eval.systems.lineage import stage_of
from eval.systems.prices import RIGHT_ANSWERS, Cost, Prices
from eval.systems.side_by_side import Cell, Line, SideBySide, System

NARROWEST = 18


def render(table: SideBySide) -> str:
    """Names, then two rows a figure: values with marks, and their intervals."""
    width = max(len(line.key) for line in table.lines) + 4
    names = [f"{system.letter}  {_named(system)}" for system in table.systems]
    letters = "".join(f"{system.letter:>{NARROWEST}}" for system in table.systems)
    lines = [row for line in table.lines for row in _rows(line, width)]
    return "\n".join([*names, "", f"{'headline figures':{width}}{letters}  could hide", *lines, "", *_legend(table)])


def costs_of(systems: Sequence[System], costs: Sequence[Cost], prices: Prices | None) -> str:
    """Tokens, and what they cost; a row each."""
    rows = {
        "tokens in": [f"{cost.prompt_tokens:,}" for cost in costs],
        "tokens out": [f"{cost.completion_tokens:,}" for cost in costs],
    }
    if any(cost.uncounted for cost in costs):
        rows["replies not counted"] = [f"{cost.uncounted:,}" for cost in costs]
    if prices:
        rows[f"cost, {prices.currency}"] = [_money(cost.total) for cost in costs]
        rows[f"for {RIGHT_ANSWERS:,} right answers"] = [_per_right(cost) for cost in costs]
    width = max(map(len, rows)) + 4
    head = f"{'':{width}}" + "".join(f"{system.letter:>{NARROWEST}}" for system in systems)
    cells = [
        f"  {name:{width - 2}}" + "".join(f"{value:>{NARROWEST}}" for value in values) for name, values in rows.items()
    ]
    return "\n".join([head, *cells])


def money(value: float) -> str:
    """Hundredths, and of less than a tenth three digits that say something: 12.40, 0.0312."""
    return f"{value:,.2f}" if value >= 0.1 or not value else f"{value:.3g}" if value >= 1e-4 else f"{value:.1e}"


def marks(cell: Cell) -> str:
    """Which systems this one is told apart from: ▲ it is better, ≠ it is another, × nothing can be said."""
    signs = (("▲", cell.better_than), ("≠", cell.differs_from))
    return " ".join([*(sign + letters for sign, letters in signs if letters), *(["×"] if cell.is_apart else [])])


def could_hide(line: Line) -> str:
    """How large a difference may be there although none was found; "" where all systems are told apart."""
    if not line.undecided:
        return ""
    return size_text(line.unseen, line.figure.unit) if line.unseen else "not known"


def _named(system: System) -> str:
    result = system.result
    stage = f" ({stage_of(result)})" if stage_of(result) else ""
    return f"{system.name}{stage}, suite {result.identity['suite']}, {result.folder}"


def _rows(line: Line, width: int) -> Iterable[str]:
    unit = line.figure.unit
    values = [f"{value_text(c.estimate.value, unit)} {marks(c)}".rstrip() if c.estimate else "-" for c in line.cells]
    ends = [interval_text(*c.estimate[1:3], unit) if c.estimate else "" for c in line.cells]
    yield f"  {line.key:{width - 2}}" + "".join(f"{value:>{NARROWEST}}" for value in values) + f"  {could_hide(line)}"
    yield f"{'':{width}}" + "".join(f"{end:>{NARROWEST}}" for end in ends)
    yield from (f"{'':{width}}{cell.letter}: {cell.why_not}" for cell in line.cells if cell.why_not)


def _legend(table: SideBySide) -> list[str]:
    return [
        f"▲BC: better than B and C. {counted(table.tests, 'test')} of pairs of systems, adjusted together by Holm: "
        "one false mark anywhere at most 1 time in 20.",
        "The intervals of a line hold together at 95 %. Without a mark no difference was found; “could hide” says "
        "which one 4 of 5 such comparisons would have shown, before the adjustment.",
    ]


def _money(value: float | None) -> str:
    return "no price" if value is None else money(value)


def _per_right(cost: Cost) -> str:
    figure = cost.per_right
    if figure is None:
        return "-"
    return money(figure.estimate.value) if figure.estimate else "not measurable"
