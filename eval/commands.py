"""`homegrown eval`: how good is a model, over HTTP, whoever serves it."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eval.decide_commands import compare_runs, gate_run
from eval.report_commands import report_run

if TYPE_CHECKING:
    from eval.figures import Section
    from eval.result import Result

INCOMPLETE = 6
COLUMN = 18
INTERRUPTED = 130

app = typer.Typer(help="How good is a model? Ask, score, keep every answer.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A folder that `homegrown eval run` wrote.")]


@app.command("run")
def run_suite(
    model: Annotated[
        str | None,
        typer.Argument(help="Model folder, name or Hugging Face id to serve; with --base-url the id to ask for."),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            help="Several systems instead, with commas: models as above, and endpoints as name=URL#model@KEY_VARIABLE."
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="Which questions and scores: a name of `homegrown eval list`, or a YAML or Python file; repeatable."
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
    ] = None,
    questions: Annotated[Path | None, typer.Option(help="JSONL file of questions instead of the model's exam.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; one that is unfinished is resumed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many samples a task, spread over all.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Requests in flight.")] = 32,
    plain: Annotated[bool, typer.Option("--plain", help="Leave system prompt and tools out.")] = False,
    system: Annotated[
        str | None, typer.Option(help="Another system prompt: a text file, or a name of prompts/personas/.")
    ] = None,
    likelihood: Annotated[
        Literal["auto", "folder", "endpoint"],
        typer.Option(help="Where likelihoods are computed; auto: in this process if the model is a folder here."),
    ] = "auto",
    pictures: Annotated[
        str | None,
        typer.Option(help="What the images suite asks for: small, large, or a folder of captioned pictures."),
    ] = None,
    training_text: Annotated[
        Path | None, typer.Option(help="For the privacy suite: documents that the model was trained on, JSONL or text.")
    ] = None,
    held_out_text: Annotated[
        Path | None, typer.Option(help="Its control: documents of the same kind that the model was not trained on.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="For the prompting suite: a folder of prompts of your own, as prompts/techniques/."),
    ] = None,
    documents: Annotated[
        Path | None,
        typer.Option(help="Its texts to search, for prompts that take passages: JSONL with text, or a text."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Let it ask every prompt every question, and give up none early.")
    ] = False,
    api_key: Annotated[str | None, typer.Option(envvar="HOMEGROWN_API_KEY", help="Key of the endpoint.")] = None,
) -> None:
    """Ask a suite's questions and print its headline figures with their intervals.

    Exit codes: 0 every question answered, 2-5 something to correct, 6 some have no answer, 130 interrupted.
    """
    from eval.measure import Measurement, measure
    from eval.run import Run
    from eval.suite import DEFAULT

    folder = out

    def say_where(run: Run) -> None:
        nonlocal folder
        folder = run.folder
        typer.echo(f"records: {run.records_path}", err=True)

    suites = suite or [DEFAULT]
    wanted = Measurement(
        model,
        suites,
        base_url,
        api_key,
        questions,
        out,
        limit,
        concurrency,
        plain,
        system,
        likelihood,
        pictures,
        training_text,
        held_out_text,
        prompts=prompts,
        documents=documents,
        full=full,
    )
    if models:
        from eval.systems.commands import measure_systems

        raise typer.Exit(measure_systems(wanted, models))
    try:
        result = measure(wanted, say_where)
    except KeyboardInterrupt:
        resume = f": the same command with --out {folder} sends only what is missing" if folder else ""
        typer.echo(f"\nhomegrown: interrupted{resume}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print_result(result, result.headlines)
    shown, made = sum(len(section.figures) for section in result.headlines), len(result.figures)
    if shown < made:
        typer.echo(f"{shown} of {made} figures: `homegrown eval show {result.folder}` prints all of them.")
    _fail_if_incomplete(result)


@app.command("show")
def show_run(folder: Folder) -> None:
    """Print every figure of a run from its records, by the scores of today; no model is asked."""
    from eval.result import read_result

    result = read_result(folder)
    _print_result(result, result.sections)
    _fail_if_incomplete(result)


@app.command("list")
def list_suites() -> None:
    """Name the suites, the questions that they answer, and their tasks; then what a suite of your own may use."""
    from eval.scores.score import declared_scores
    from eval.suite import find_suite, suite_names
    from eval.variants import variant_makers

    for name in suite_names():
        suite = find_suite(name)
        typer.echo(f"{name:<{COLUMN}}{suite.about}")
        typer.echo("".join(f"{'':{COLUMN}}- {task.name}: {task.about}\n" for task in suite.tasks), nl=False)
    for what, names in (("scores", declared_scores()), ("variants", variant_makers())):
        indented = {"initial_indent": f"{what:<{COLUMN}}", "subsequent_indent": f"{'':{COLUMN}}"}
        typer.echo("\n" + textwrap.fill(", ".join(sorted(names)), 120, **indented))


app.command("compare")(compare_runs)
app.command("gate")(gate_run)
app.command("report")(report_run)


def _print_result(result: "Result", sections: "Sequence[Section]") -> None:
    from eval.table import render

    typer.echo(f"\n{render(sections)}\n")
    for conclusion in result.conclusions.values():
        typer.echo(f"{conclusion}\n")
    for task, reason in result.identity["skipped"].items():
        typer.echo(f"not measured: {task} ({reason})")
    for key in result.missing_headlines:
        typer.echo(f"not among the figures: {key}, a headline of the suite")
    unanswered, unscored = result.unanswered, len(result.errors) - len(result.unanswered)
    counts = [f"{len(result.records)} requests", f"{len(unanswered)} without an answer"]
    counts += [f"{unscored} with an answer that a score failed on"] if unscored else []
    counts += [f"{result.unasked} not asked yet"] if result.unasked else []
    typer.echo(f"{', '.join(counts)}. Records and summary: {result.folder}")


def _fail_if_incomplete(result: "Result") -> None:
    unscored = [record for record in result.errors if not record.asked_again]
    for failed, way_out in (
        (result.unanswered, f"the same command with --out {result.folder} asks these again"),
        (unscored, f"once the score is mended, `homegrown eval show {result.folder}` scores these again"),
    ):
        if failed:
            typer.echo(f"homegrown: {failed[0].task} {failed[0].id}: {failed[0].error}; {way_out}.", err=True)
    if result.unasked:
        typer.echo(
            f"homegrown: {result.unasked} questions were not asked: the command of this run with --out {result.folder} "
            "asks them.",
            err=True,
        )
    if result.errors or result.unasked:
        raise typer.Exit(INCOMPLETE)
