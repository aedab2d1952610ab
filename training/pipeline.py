"""Runs the stages of a recipe: skips those whose inputs are unchanged, resumes those that were interrupted."""

from pathlib import Path

from serving.errors import UserError
from serving.home import home
from training.exam import is_examined, write_exam
from training.images.stage import ImagesStage
from training.launch import is_disk_full
from training.recipe import Recipe
from training.stage import Stage
from training.text_stages import EmbedderStage, PretrainStage, SftStage, TokenizerStage

STAGES: dict[str, type[Stage]] = {
    stage.name: stage for stage in (TokenizerStage, PretrainStage, SftStage, EmbedderStage, ImagesStage)
}


def run_recipe(recipe: Recipe, only: str | None = None) -> Path:
    """Run all stages of `recipe`, or `only` one whose parents are done. Returns the last result's folder."""
    result = None
    for stage in STAGES if only is None else (only,):
        if getattr(recipe, stage) is not None:
            result = _run_stage(recipe, stage)
        if stage == "tokenizer" and is_examined(recipe):
            write_exam(recipe, output_of(recipe, stage))
    if result is None:
        raise UserError(f"The recipe {recipe.name} has no section {only or ' or '.join(STAGES)}.")
    return result


def _run_stage(recipe: Recipe, stage: str) -> Path:
    try:
        return STAGES[stage](recipe).run()
    except OSError as error:
        if not is_disk_full(error, home()):
            raise
        raise UserError(f"The disk of {home()} is full: free some room and run the same command again.") from None


def output_of(recipe: Recipe, stage: str) -> Path:
    """Where a stage's result is, done or not."""
    return STAGES[stage].output_of(recipe)
