"""The command line: `homegrown COMMAND`. It composes the rooms and holds no logic of its own."""

import sys
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import assistant.commands
import assistant.feedback_commands
import eval.commands
import improve.command
import serving.backup_commands
import serving.commands
import serving.doctor
import serving.images.commands
import serving.key_commands
import serving.model_commands
import training.commands
from assistant.growers import Growers
from serving.errors import UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

app = typer.Typer(
    help="Grow your own assistant: train it, serve it, talk to it, and know how good it is.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(training.commands.app, name="train")
app.add_typer(eval.commands.app, name="eval")
app.add_typer(serving.images.commands.app, name="image")
app.add_typer(serving.key_commands.app, name="keys")


def _grow(recipe: str) -> None:
    from training.pipeline import run_recipe
    from training.recipe import load_recipe

    run_recipe(load_recipe(recipe))


def _is_unfinished(recipe: str) -> bool:
    from training.background import is_unfinished

    return is_unfinished(recipe)


def _growing(recipe: str) -> AbstractContextManager:
    from training.background import growing

    return growing(recipe)


def _aligning() -> AbstractContextManager:
    from improve.alignment import aligning

    return aligning()


def _gate(rules: Path, run: Path, baseline: Path | None, sha256: str) -> str:
    from eval.model_gate import passed

    return passed(rules, run, baseline, sha256)


def _report_of(model: str) -> Path | None:
    from eval.newest import newest_report

    return newest_report(model)


def _assistant(api: "FastAPI") -> AbstractAsyncContextManager[None]:
    from assistant.service import extension

    return extension(api)


app.add_typer(assistant.feedback_commands.app, name="feedback")
app.command(name="improve")(improve.command.improve)
app.add_typer(serving.model_commands.models_app(_gate), name="models")
app.command(name="backup")(serving.backup_commands.backup)
app.command(name="restore")(serving.backup_commands.restore)
app.command(name="serve")(serving.commands.serve_command([_assistant]))
app.command(name="doctor")(serving.doctor.doctor)
_growers = Growers(_grow, _is_unfinished, _growing, _aligning)
app.command(name="chat")(assistant.commands.chat_command(_growers, _report_of))


def main() -> None:
    """Run the command line; a `UserError` becomes one line on stderr and its exit code."""
    try:
        app()
    except UserError as error:
        print(f"homegrown: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
