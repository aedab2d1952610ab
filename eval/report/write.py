"""The report on disk: report.html, report.md and junit.xml, beside the records that they are made of."""

from pathlib import Path

from eval.compare import compare
from eval.report.html import html
from eval.report.junit import junit
from eval.report.markdown import markdown
from eval.report.page import Page
from eval.result import Result, read_result
from serving.errors import UserError

PAGE = "report.html"


def write_report(
    run: Path, baseline: Path | None = None, out: Path | None = None, across_prompts: bool = False
) -> Path:
    """Write the report of `run` into its own folder, or into `out`; the path of the page.

    Raises `UserError` when a folder holds no run, the run has no records, the two runs have nothing that can be
    compared, or nothing can be written.
    """
    page = _page(read_result(run), read_result(baseline) if baseline else None, across_prompts)
    if not page.rows:
        raise UserError(f"The run in {run} has no answers yet: the command that began it goes on with it.")
    folder = out or run
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, form in ((PAGE, html), ("report.md", markdown), ("junit.xml", junit)):
            (folder / name).write_text(form(page), encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"The report cannot be written to {folder} ({error}): name another with --out.") from None
    return folder / PAGE


def _page(run: Result, baseline: Result | None, across_prompts: bool) -> Page:
    changes = compare(baseline, run, across_prompts) if baseline else []
    return Page(run, baseline, {change.key: change for change in changes})
