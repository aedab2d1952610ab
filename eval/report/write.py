"""The report on disk: report.html, report.md and junit.xml, beside the records that they are made of."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.compare import compare
from eval.report.html import html, systems_html
from eval.report.junit import junit
from eval.report.markdown import markdown, systems_markdown
from eval.report.page import Page
from eval.report.systems import SystemsPage
from eval.result import Result, read_result
from eval.systems.commands import costs_with, results_of
from eval.systems.prices import read_prices
from eval.systems.side_by_side import side_by_side
from serving.errors import UserError

PAGE = "report.html"
SYSTEMS_PAGE = "systems.html"


def write_report(
    run: Path,
    baseline: Path | None = None,
    out: Path | None = None,
    across_prompts: bool = False,
    samples: int | None = None,
) -> Path:
    """Write the report of `run` into its own folder, or into `out`; the path of the page.

    `samples`: how many requests of each task can be read on it, all without.

    Raises `UserError` when a folder holds no run, the run has no records, the two runs have nothing that can be
    compared, or nothing can be written.
    """
    page = _page(read_result(run), read_result(baseline) if baseline else None, across_prompts, samples)
    if not page.rows:
        raise UserError(f"The run in {run} has no answers yet: the command that began it goes on with it.")
    return _write(out or run, {PAGE: html(page), "report.md": markdown(page), "junit.xml": junit(page)})


def write_systems_report(
    runs: Sequence[Path], out: Path | None = None, across_prompts: bool = False, prices: Path | None = None
) -> Path:
    """Write systems.html and systems.md of several runs into the folder that holds them, or into `out`.

    Raises `UserError` as `write_report` does, and for runs of different folders without `out`.
    """
    folders = {run.resolve().parent for run in runs}
    if out is None and len(folders) > 1:
        raise UserError("These runs are not in one folder: name one for the report with --out.")
    known = read_prices(prices) if prices else None
    table = side_by_side(results_of(runs), across_prompts)
    page = SystemsPage(table, costs_with(known, table.systems), known)
    return _write(out or folders.pop(), {SYSTEMS_PAGE: systems_html(page), "systems.md": systems_markdown(page)})


def _write(folder: Path, files: Mapping[str, str]) -> Path:
    """The first of the files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"The report cannot be written to {folder} ({error}): name another with --out.") from None
    return folder / next(iter(files))


def _page(run: Result, baseline: Result | None, across_prompts: bool, samples: int | None) -> Page:
    changes = compare(baseline, run, across_prompts) if baseline else []
    return Page(run, baseline, {change.key: change for change in changes}, samples)
