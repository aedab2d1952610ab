"""A conversation as the model sees it, with the tokens that count in the loss in colour."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from serving.errors import UserError
from serving.model_folder import resolve_model
from training.corpus.sources import SourceReport, SourceSpec
from training.mixing import documents_of
from training.pipeline import output_of
from training.recipe import FOLDER, Dress, Recipe, load_recipe
from training.rendering import Renderer, marks_answers


def show(name: str, file: Path | None, count: int) -> None:
    """Print `count` conversations of `file`, or of the recipe `name`; `name` may be a model when there is a file."""
    recipe = load_recipe(name) if _is_recipe(name) else None
    if recipe is None and file is None:
        raise UserError(f"{name} is no recipe, so name a JSONL file of conversations as well.")
    folder = _tokenizer_of(recipe) if recipe else Path(resolve_model(name))
    if not marks_answers(folder):
        raise UserError(f"The chat template of {folder} does not mark what the assistant says: there is no mask.")
    renderer = Renderer(folder, recipe.dress(recipe.sft) if recipe and recipe.sft else Dress())
    for document in itertools.islice(_conversations(recipe, file, renderer.token_count), count):
        typer.echo(coloured(renderer, document))
        typer.echo()


def coloured(renderer: Renderer, document: dict) -> str:
    """The text of a conversation; counted tokens are green, the others plain, and a last line says how many count."""
    encoded = renderer.conversations([document])[0]
    decode = renderer.tokenizer.decode
    parts = [decode(list(encoded.prefix), skip_special_tokens=False)]
    tokens = zip(encoded.ids.tolist(), encoded.counted.tolist(), strict=True)
    for counts, run in itertools.groupby(tokens, key=lambda token: token[1]):
        text = decode([token for token, _ in run], skip_special_tokens=False)
        parts.append(typer.style(text, fg="green", bold=True) if counts else text)
    total = len(encoded.prefix) + len(encoded.ids)
    return "".join(parts) + f"[{encoded.counted.sum()} of {total} tokens count in the loss]"


def _is_recipe(name: str) -> bool:
    return Path(name).suffix in (".yaml", ".yml") or (FOLDER / f"{name}.yaml").is_file()


def _tokenizer_of(recipe: Recipe) -> Path:
    folder = output_of(recipe, "tokenizer")
    if not folder.is_dir():
        raise UserError(f"{folder} is not there yet: run `homegrown train tokenizer {recipe.name}`.")
    return folder


def _conversations(recipe: Recipe | None, file: Path | None, token_count: Callable[[str], int]) -> Iterator[dict]:
    if file is not None:
        source = SourceSpec(name=str(file), kind="chat")
    else:
        section = recipe.sft or recipe.pretrain
        chats = [source for phase in section.phases for source in phase.sources if source.kind == "chat"]
        if not chats:
            raise UserError(f"The recipe {recipe.name} has no chat source: name a JSONL file of conversations.")
        source = chats[0]
    return documents_of(source, seed=0, report=SourceReport(name=source.name), once=True, token_count=token_count)
