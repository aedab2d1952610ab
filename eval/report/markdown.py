"""The report for a pull request, a ticket or a terminal."""

from collections.abc import Iterable, Sequence

from eval.report.changes import detail, short, sign
from eval.report.page import Page, Row
from eval.report.verdict import verdict
from eval.report.words import interval_text, value_text

MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})


def markdown(page: Page) -> str:
    """The verdict, every figure as a table row, and what was not measured."""
    run, made = page.result.identity, page.provenance
    parts = [f"# {plain(run['model'])}: suite {plain(run['suite'])}", f"**{plain(verdict(page).sentence)}**"]
    parts += ["## Headlines", _table(page, page.headlines, with_section=True)]
    for chapter in page.chapters:
        parts.append(f"## {plain(chapter.name)}")
        for block in chapter.blocks:
            parts += [f"### {plain(block.title)}", _table(page, block.rows)]
    parts += ["## Not measured", _listed(_unmeasured(page)) or "Everything that the suite asks for was measured."]
    about = [f"model sha256: {run['model_sha256'] or 'not known'}"]
    about += [f"baseline: {plain(str(page.baseline.folder.name))}"] if page.baseline else []
    about += [f"measured: {made['created']}", f"command: {plain(' '.join(made['command']))}"] if made else []
    about += (
        ["versions: " + ", ".join(f"{name} {version}" for name, version in made["versions"].items())] if made else []
    )
    return "\n\n".join([*parts, "## About this run", _listed(about)]) + "\n"


def plain(content: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return " ".join(content.split()).translate(MARKUP)


def _table(page: Page, rows: Sequence[Row], with_section: bool = False) -> str:
    head = [
        "figure",
        "value",
        "95 % interval",
        *(["against the baseline"] if page.baseline else []),
        "n",
        "errors",
        "unread",
    ]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    lines += [_cells(page, row, row.title if with_section else row.label) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(page: Page, row: Row, name: str) -> list[str]:
    figure = row.figure
    if figure.estimate:
        value, low, high = figure.estimate[:3]
        values = [value_text(value, figure.unit), interval_text(low, high, figure.unit)]
    else:
        values = ["not measurable", plain(figure.why_not)]
    against = [plain(f"{sign(row.change)} {short(row.change)}; {detail(row.change)}") if row.change else ""]
    counts = [str(number) for number in (figure.n, figure.errors, figure.unparsed)]
    return [plain(name), *values, *(against if page.baseline else []), *counts]


def _unmeasured(page: Page) -> Iterable[str]:
    yield from (f"{plain(name)}: {plain(why)}" for name, why in page.skipped.items())
    yield from (f"{plain(key)}: {plain(why)}" for key, why in page.missing.items())
    yield from (f"{times} without an answer: {plain(error)}" for error, times in page.error_kinds)
    yield from (f"{plain(row.title)}: {plain(row.figure.why_not)}" for row in page.unmeasured)


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
