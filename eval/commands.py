"""`homegrown eval`: how good is a model, over HTTP, whoever serves it."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

INCOMPLETE = 6
INTERRUPTED = 130

app = typer.Typer(help="How good is a model? Ask, score, keep every answer.", no_args_is_help=True)


@app.command("run")
def run_suite(
    model: Annotated[
        str | None,
        typer.Argument(help="Model folder, name or Hugging Face id to serve; with --base-url the id to ask for."),
    ] = None,
    suite: Annotated[str, typer.Option(help="Which questions and scores; see `homegrown eval list`.")] = "almanac",
    base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.")
    ] = None,
    questions: Annotated[Path | None, typer.Option(help="JSONL file of questions; default: the suite's own.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; one that is unfinished is resumed.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only this many, spread over the exam.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Requests in flight.")] = 32,
    plain: Annotated[bool, typer.Option("--plain", help="Leave system prompt and tools out.")] = False,
    api_key: Annotated[str | None, typer.Option(envvar="HOMEGROWN_API_KEY", help="Key of the endpoint.")] = None,
) -> None:
    """Ask a suite's questions and print the figures with their intervals.

    Exit codes: 0 every question answered, 2-5 something to correct, 6 some have no answer, 130 interrupted.
    """
    from eval.run import Run, evaluate, identify, sample
    from eval.suite import find_suite, read_questions
    from serving.errors import UserError
    from serving.settings import home

    if model is None and base_url is None:
        raise UserError("Say what to measure: a model (`homegrown eval run almanac`) or an endpoint with --base-url.")
    chosen = find_suite(suite)
    exam = read_questions(chosen, questions or home() / chosen.exam)
    folder = out
    try:
        with _endpoint(model, base_url, api_key) as (url, name, sha256):
            folder = out or home() / "reports" / _folder_name(suite, model or name)
            run = Run(chosen, sample(exam, limit), identify(chosen, exam, name, sha256, plain), folder, plain)
            typer.echo(f"records: {run.records_path}", err=True)
            sections, records = evaluate(run, url, concurrency, api_key)
    except KeyboardInterrupt:
        resume = f": the same command with --out {folder} sends only what is missing" if folder else ""
        typer.echo(f"\nhomegrown: interrupted{resume}.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    _print_report(sections, records, folder)


@app.command("show")
def show_run(folder: Annotated[Path, typer.Argument(help="A folder that `homegrown eval run` wrote.")]) -> None:
    """Print the figures of a run again from its records, by the scores of today; no model is asked."""
    from eval.run import read_identity, recorded
    from eval.suite import find_suite

    suite = find_suite(read_identity(folder)["suite"])
    records = recorded(suite, folder)
    _print_report(suite.summarise(records), records, folder)


@app.command("list")
def list_suites() -> None:
    """Name the suites, and where each looks for its questions."""
    from eval.suite import find_suite, suite_names
    from serving.settings import home

    for name in suite_names():
        typer.echo(f"{name:<16}{home() / find_suite(name).exam}")


@contextmanager
def _endpoint(
    model: str | None, base_url: str | None, api_key: str | None
) -> Iterator[tuple[Callable[[], str], str, str | None]]:
    """Where the model answers, its id there, and the sha256 of its folder if it is served from here meanwhile."""
    from eval.target import served_model

    if base_url:
        url = base_url.rstrip("/")
        yield lambda: url, served_model(url, model, api_key), None
        return
    from serving.model_folder import folder_digest, resolve_model
    from serving.text_engine import TextEngine

    resolved = resolve_model(model)
    sha256 = folder_digest(Path(resolved)) if Path(resolved).is_dir() else None
    with TextEngine(resolved, on_progress=_show_start) as engine:
        typer.echo("", err=True)
        yield lambda: engine.base_url, served_model(engine.base_url, None), sha256


def _show_start(seconds: float, stage: str) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r\x1b[Kstarting vLLM  {seconds:.0f} s  {stage}", err=True, nl=False)


def _folder_name(suite: str, model: str) -> str:
    from datetime import datetime

    name = re.sub(r"[^\w.-]+", "-", model.rstrip("/").split("/")[-1])
    return f"{suite}-{name}-{datetime.now():%Y%m%d-%H%M%S}"


def _print_report(sections: list, records: list, folder: Path) -> None:
    from eval.table import render

    failed = [record for record in records if record.status == "error"]
    typer.echo(f"\n{render(sections)}\n")
    typer.echo(f"{len(records)} questions, {len(failed)} without an answer. Records and summary: {folder}")
    if failed:
        typer.echo(
            f"homegrown: {failed[0].id}: {failed[0].error}; the same command with --out {folder} asks these again.",
            err=True,
        )
        raise typer.Exit(INCOMPLETE)
