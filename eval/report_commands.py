"""`homegrown eval report`."""

from pathlib import Path
from typing import Annotated

import typer


def report_run(
    run: Annotated[
        Path | None,
        typer.Argument(
            help="A folder that `homegrown eval run` wrote.",
            show_default="the newest run of the default suite with the model that `homegrown chat` serves, "
            "which is asked now if there is none",
        ),
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="The run to compare with, of the same questions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="the run's own")] = None,
    across_prompts: Annotated[
        bool, typer.Option("--across-prompts", help="Compare although the runs asked with different prompts or tools.")
    ] = False,
) -> None:
    """Write report.html (one file, offline, printable), report.md and junit.xml of a run; no model is asked."""
    from eval.report.write import write_report

    typer.echo(write_report(run or _of_the_served_model(), baseline, out, across_prompts))


def _of_the_served_model() -> Path:
    """The newest run of the default suite with it; without one, the model is asked now."""
    from eval.newest import newest_run
    from eval.suite import DEFAULT
    from serving.model_folder import folder_digest
    from serving.serve import default_model

    folder = Path(default_model())
    found = newest_run(DEFAULT, folder.name, folder_digest(folder)) if folder.is_dir() else None
    return found or _asked_now()


def _asked_now() -> Path:
    from eval.commands import INTERRUPTED
    from eval.measure import Measurement, measure
    from eval.run import Run
    from eval.suite import DEFAULT
    from serving.serve import DEFAULT_MODEL

    begun: list[Path] = []

    def announce(run: Run) -> None:
        begun.append(run.folder)
        typer.echo(f"{DEFAULT_MODEL} has not been measured yet: asking it takes a few minutes, once.", err=True)

    try:
        return measure(Measurement(DEFAULT_MODEL, [DEFAULT]), announce).folder
    except KeyboardInterrupt:
        resume = f": `homegrown eval run {DEFAULT_MODEL} --out {begun[0]}` goes on with it" if begun else ""
        typer.echo(f"\nhomegrown: interrupted{resume}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
