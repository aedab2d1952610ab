"""Runs the stages of a recipe: skips those whose inputs are unchanged, resumes those that were interrupted."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from serving.errors import UserError
from serving.home import home
from training.alignment.stages import ALIGNMENT_STAGES
from training.exam import is_examined, write_exam
from training.images.stage import ImagesStage
from training.launch import is_disk_full
from training.recipe import Recipe
from training.stage import Stage
from training.text_stages import EmbedderStage, PretrainStage, SftStage, TokenizerStage

STAGES: dict[str, type[Stage]] = {
    stage.name: stage
    for stage in (TokenizerStage, PretrainStage, SftStage, EmbedderStage, *ALIGNMENT_STAGES, ImagesStage)
}


def run_recipe(recipe: Recipe, only: str | None = None) -> Path:
    """Run all stages of `recipe`, or `only` one whose parents are done. Returns the last result's folder."""
    try:
        with _alone(recipe):
            return _run_stages(recipe, only)
    except OSError as error:
        if not is_disk_full(error, home()):
            raise
        raise UserError(f"The disk of {home()} is full: free some room and run the same command again.") from None


def _run_stages(recipe: Recipe, only: str | None) -> Path:
    result = None
    wanted = [stage for stage in (STAGES if only is None else (only,)) if getattr(recipe, stage) is not None]
    for stage in wanted:
        STAGES[stage].look_ahead(recipe)
    for stage in wanted:
        result = STAGES[stage](recipe).run()
        if stage == "tokenizer" and is_examined(recipe):
            write_exam(recipe, output_of(recipe, stage))
    if result is None:
        raise UserError(f"The recipe {recipe.name} has no section {only or ' or '.join(STAGES)}.")
    return result


@contextlib.contextmanager
def _alone(recipe: Recipe) -> Iterator[None]:
    """Hold the recipe's lock. Raises `UserError` when another process does, which writes to the same folders."""
    file = home() / "runs" / recipe.name / "lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"The recipe {recipe.name} is being grown by another process, perhaps by an open chat: "
                "wait for its end, or end it; what it has learnt is kept."
            ) from None
        yield


def output_of(recipe: Recipe, stage: str) -> Path:
    """Where a stage's result is, done or not."""
    return STAGES[stage].output_of(recipe)
