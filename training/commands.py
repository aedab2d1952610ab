"""`homegrown train`: all stages of a recipe, or one."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Data -> model folder: tokenizer, pretraining, fine-tuning, alignment; embedder; pictures.",
    no_args_is_help=True,
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="a name in training/recipes, or a YAML file")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="a.b=value", help="change a key of the recipe")]


def _run(recipe: str, overrides: list[str], only: str | None = None) -> None:
    from training.pipeline import run_recipe
    from training.recipe import load_recipe

    run_recipe(load_recipe(recipe, overrides), only)


@app.command()
def run(recipe: RecipeName, overrides: Overrides = []) -> None:  # noqa: B006
    """Run all stages; those whose inputs are unchanged are skipped, an interrupted one goes on."""
    _run(recipe, overrides)


STAGES = {
    "tokenizer": "Learn the vocabulary.",
    "pretrain": "Train a new model on text.",
    "sft": "Teach a model to converse (supervised fine-tuning).",
    "embedder": "Grow a yardstick of meaning for `homegrown eval`: a sentence-transformers embedder.",
    "reward": "Train a reward model on preference pairs.",
    "dpo": "Learn from preference pairs, without a reward model (direct preference optimisation).",
    "kto": "Learn from single answers with a thumb (Kahneman-Tversky optimisation).",
    "rloo": "Reinforcement learning from a reward model or from scores (REINFORCE leave-one-out).",
    "grpo": "The same with group relative policy optimisation.",
    "distil": "Train what a prompt does into the weights (context distillation).",
}


def _offer(stage: str, about: str) -> None:
    @app.command(stage, help=about)
    def run_stage(recipe: RecipeName, overrides: Overrides = []) -> None:  # noqa: B006
        _run(recipe, overrides, stage)


for _stage, _about in STAGES.items():
    _offer(_stage, _about)


@app.command()
def images(recipe: RecipeName = "images", overrides: Overrides = []) -> None:  # noqa: B006
    """Grow an image model: a picture from a sentence."""
    _run(recipe, overrides, "images")


@app.command()
def personalise(
    subject: Annotated[Path, typer.Option(metavar="DIR", help="a handful of pictures of the subject")],
    token: Annotated[str, typer.Option(help="the word that will mean the subject, such as sks")],
    class_name: Annotated[str | None, typer.Option("--class", help="what the subject is, such as dog")] = None,
    model: Annotated[str, typer.Option(help="image model: a name, a diffusers folder, or owner/name")] = "images",
    steps: Annotated[int | None, typer.Option(min=1, help="of training")] = None,
    rank: Annotated[int, typer.Option(min=1, max=256, help="of the LoRA's matrices")] = 8,
    prior: Annotated[int, typer.Option(min=0, help="pictures by the model itself of what must stay")] = 96,
    name: Annotated[str | None, typer.Option(help="of the LoRA; default: the token")] = None,
    samples_every: Annotated[int | None, typer.Option(min=1, help="steps between sample sheets")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-8)] = None,
    seed: int = 0,
) -> None:
    """Teach an image model one subject: a LoRA from a handful of pictures."""
    from training.images.personalise import Wish
    from training.images.personalise import personalise as train_lora

    wish = Wish(
        subject=subject,
        token=token,
        class_name=class_name,
        model=model,
        steps=steps,
        rank=rank,
        prior=prior,
        samples_every=samples_every,
        learning_rate=learning_rate,
        seed=seed,
    )
    train_lora(wish, name)


@app.command("show-mask")
def show_mask(
    name: Annotated[str, typer.Argument(metavar="RECIPE-OR-MODEL", help="a recipe, or a model (its own template)")],
    file: Annotated[Path | None, typer.Argument(help="JSONL of conversations; default: the recipe's own data")] = None,
    count: Annotated[int, typer.Option(help="conversations to print")] = 1,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Print conversations as the model sees them, with what counts in the loss in colour."""
    from training.show_mask import show

    show(name, file, count, overrides)


@app.command()
def exam(
    recipe: RecipeName,
    final: Annotated[bool, typer.Option("--final", help="the set kept for final figures")] = False,
    hard: Annotated[bool, typer.Option("--hard", help="what invites to bluff: where alignment is measured")] = False,
) -> None:
    """Write the questions that `homegrown eval run` asks a model grown from the almanac."""
    from serving.errors import UserError
    from training.exam import is_examined, write_exam
    from training.pipeline import output_of
    from training.recipe import load_recipe

    loaded = load_recipe(recipe)
    tokenizer = output_of(loaded, "tokenizer")
    if not is_examined(loaded) or not tokenizer.is_dir():
        raise UserError(f"There is no exam for {recipe} yet: it must learn from the almanac and have a tokenizer.")
    if final and hard:
        raise UserError("--final and --hard are two sets: ask for one of them.")
    print(write_exam(loaded, tokenizer, "final" if final else "hard" if hard else "dev"))
