"""`homegrown eval report`."""

from pathlib import Path
from typing import Annotated

import typer


def report_run(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="A folder that `homegrown eval run` wrote; of several, or of what --models wrote, all side by side.",
            show_default="the newest run of the default suite with the model that `homegrown chat` serves, "
            "which is asked now if there is none",
        ),
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="The run to compare with, of the same questions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="the run's own")] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="What several runs cost: YAML with a currency and prices of tokens by model."),
    ] = None,
    across_prompts: Annotated[
        bool, typer.Option("--across-prompts", help="Compare although the runs asked with different prompts or tools.")
    ] = False,
    samples: Annotated[
        int | None,
        typer.Option(min=0, help="Requests of each task to read on the page.", show_default="all"),
    ] = None,
) -> None:
    """Write report.html (one file, offline, printable), report.md and junit.xml of a run; no model is asked.

    Of several runs, systems.html and systems.md.
    """
    from eval.report.write import write_report, write_systems_report
    from eval.systems.commands import runs_in
    from serving.errors import UserError

    folders = runs_in(runs or [_of_the_served_model()])
    if len(folders) == 1:
        if prices:
            raise UserError("--prices compares costs: name two runs or more.")
        typer.echo(write_report(folders[0], baseline, out, across_prompts, samples))
        return
    if baseline:
        raise UserError("--baseline is for one run: the report of several compares all with all.")
    typer.echo(write_systems_report(folders, out, across_prompts, prices))


def _of_the_served_model() -> Path:
    """The newest run of the default suite with it; without one, the model is asked now."""
    from eval.newest import newest_run
    from eval.suite import DEFAULT
    from serving.model_folder import folder_digest
    from serving.registry import default_model

    folder = Path(default_model())
    found = newest_run(DEFAULT, folder.name, folder_digest(folder)) if folder.is_dir() else None
    return found or _asked_now(folder.name)


def _asked_now(model: str) -> Path:
    from eval.commands import INTERRUPTED
    from eval.measure import Measurement, measure
    from eval.run import Run
    from eval.suite import DEFAULT

    begun: list[Path] = []

    def announce(run: Run) -> None:
        begun.append(run.folder)
        typer.echo(f"{model} has not been measured yet: asking it takes a few minutes, once.", err=True)

    try:
        return measure(Measurement(model, [DEFAULT]), announce).folder
    except KeyboardInterrupt:
        resume = f": `homegrown eval run {model} --out {begun[0]}` goes on with it" if begun else ""
        typer.echo(f"\nhomegrown: interrupted{resume}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
