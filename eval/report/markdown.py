"""The report for a pull request, a ticket or a terminal: what decides, not every figure, which the page has."""

from collections.abc import Iterable, Sequence

from eval.report.changes import detail, short, sign
from eval.report.page import Page
from eval.report.rows import Row
from eval.report.systems import SystemsPage
from eval.report.verdict import verdict
from eval.report.words import counted, enumerated, interval_text, value_text
from eval.systems.side_by_side import Line
from eval.systems.table import could_hide, marks

MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})
MOST_WORSE = 25


def markdown(page: Page) -> str:
    """The verdict, the headlines, what got worse, what was not measured, and what the run was."""
    run = page.result.identity
    parts = [f"# {plain(run['model'])}: suite {plain(run['suite'])}", f"**{plain(verdict(page).sentence)}**"]
    parts += ["## Headlines", _table(page, page.headlines)]
    if page.baseline:
        parts += _worse(page)
    parts += ["## Not measured", _listed(_unmeasured(page)) or "Everything that the suite asks for was measured."]
    parts += ["## About this run", _listed(_about(page))]
    return "\n\n".join(parts) + "\n"


def systems_markdown(page: SystemsPage) -> str:
    """Who is ahead, and the table of all systems."""
    names = [f"- {system.letter}: {plain(system.name)}" for system in page.systems]
    head = ["figure", *(system.letter for system in page.systems), "could hide"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(_system_cells(line) for line in page.table.lines)]
    parts = ["# Side by side", "\n".join(names), f"**{plain(page.verdict)}**"]
    parts += ["\n".join(f"| {' | '.join(line)} |" for line in lines)]
    parts += [
        "▲BC: surely better than B and C, by Holm over all pairs of all figures. Intervals hold together in a line."
    ]
    return "\n\n".join(parts) + "\n"


def _system_cells(line: Line) -> list[str]:
    unit = line.figure.unit
    values = [
        f"{value_text(c.estimate.value, unit)} ({interval_text(*c.estimate[1:3], unit)}) {marks(c)}".rstrip()
        if c.estimate
        else plain(c.why_not)
        for c in line.cells
    ]
    return [plain(line.title), *values, could_hide(line)]


def plain(content: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return " ".join(content.split()).translate(MARKUP)


def _worse(page: Page) -> Iterable[str]:
    worse = [row for row in page.with_outcome("worse") if row not in page.headlines]
    yield "## Worse behind the headlines"
    if not worse:
        yield "Nothing that could have been seen."
        return
    yield _table(page, worse[:MOST_WORSE])
    if len(worse) > MOST_WORSE:
        yield f"{counted(len(worse) - MOST_WORSE, 'more figure')} got worse: report.html has them all."


def _table(page: Page, rows: Sequence[Row]) -> str:
    against = ["against the baseline"] if page.baseline else []
    head = ["figure", "value", "95 % interval", *against, "n", "errors", "not readable"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(_cells(page, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(page: Page, row: Row) -> list[str]:
    figure = row.figure
    if figure.estimate:
        value, low, high = figure.estimate[:3]
        values = [value_text(value, figure.unit), interval_text(low, high, figure.unit)]
    else:
        values = ["not measurable", plain(figure.why_not)]
    against = [plain(f"{sign(row.change)} {short(row.change)}; {detail(row.change)}") if row.change else ""]
    counts = [f"{number:,}" for number in (figure.n, figure.errors, figure.unparsed)]
    return [plain(row.title), *values, *(against if page.baseline else []), *counts]


def _unmeasured(page: Page) -> Iterable[str]:
    yield from (f"{plain(name)}: {plain(why)}" for name, why in page.skipped.items())
    yield from (f"{plain(key)}: {plain(why)}" for key, why in page.missing.items())
    yield from (f"{counted(times, 'request')} without an answer: {plain(error)}" for error, times in page.error_kinds)
    yield from (f"{plain(row.title)}: {plain(row.figure.why_not)}" for row in page.unmeasured)


def _about(page: Page) -> Iterable[str]:
    run, made = page.result.identity, page.provenance
    yield f"{counted(len(page.result.records), 'request')}, {counted(len(page.rows), 'figure')}: all in report.html"
    yield f"model sha256: {run['model_sha256'] or 'not known'}"
    if page.baseline:
        yield f"baseline: {plain(page.baseline.folder.name)}, sha256 {page.baseline.identity['model_sha256']}"
    if made:
        yield f"measured: {made['created']}"
        yield f"command: {plain(' '.join(made['command']))}"
        yield f"versions: {enumerated([f'{name} {version}' for name, version in made['versions'].items()])}"


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
