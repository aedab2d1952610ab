"""A conversation as the model sees it, with the tokens that count in the loss in colour."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from serving.errors import UserError
from serving.model_folder import resolve_model
from training.corpus.sources import SourceReport, SourceSpec
from training.mixing import documents_of
from training.pipeline import output_of
from training.recipe import FOLDER, Dress, Recipe, load_recipe
from training.rendering import Renderer, marks_answers
from training.text_stages import PretrainStage, fit_tokenizer, parent_or_grown


def show(name: str, file: Path | None, count: int, overrides: Sequence[str] = ()) -> None:
    """Print `count` conversations of `file`, or of the recipe `name`; `name` may be a model when there is a file."""
    recipe = load_recipe(name, overrides) if _is_recipe(name) else None
    if recipe is None and file is None:
        raise UserError(f"{name} is no recipe, so name a JSONL file of conversations as well.")
    if recipe is None and overrides:
        raise UserError(f"{name} is no recipe, so there is nothing to change with --set.")
    renderer = _renderer_of(recipe, name) if recipe else Renderer(_marked(name), Dress())
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


def _marked(model: str) -> Path:
    folder = Path(resolve_model(model))
    if not folder.is_dir():
        raise UserError(f"{model} is not on this machine: name its folder, or a recipe with `--set base={model}`.")
    if not marks_answers(folder):
        raise UserError(f"The chat template of {folder} does not mark what the assistant says: there is no mask.")
    return folder


def _renderer_of(recipe: Recipe, name: str) -> Renderer:
    """What writes conversations as the recipe `name` trains on them."""
    dress = recipe.dress(recipe.sft) if recipe.sft else Dress()
    with TemporaryDirectory() as work:
        return Renderer(_tokenizer_of(recipe, name, Path(work)), dress)


def _tokenizer_of(recipe: Recipe, name: str, work: Path) -> Path:
    """The recipe's own, or that of the model which its fine-tuning goes on from."""
    if recipe.sft and (base := recipe.sft.base or recipe.base):
        return fit_tokenizer(parent_or_grown(base, PretrainStage, recipe), recipe.sft.lora, work)
    if recipe.tokenizer is None:
        raise UserError(f"The recipe {name} has no tokenizer and fine-tunes no model: name a model, and a JSONL file.")
    folder = output_of(recipe, "tokenizer")
    if not folder.is_dir():
        raise UserError(f"{folder} is not there yet: run `homegrown train tokenizer {name}`.")
    return folder


def _conversations(recipe: Recipe | None, file: Path | None, token_count: Callable[[str], int]) -> Iterator[dict]:
    if file is not None:
        source = SourceSpec(name=str(file), kind="chat")
    else:
        section = recipe.sft or recipe.pretrain
        chats = [source for source in section.sources if source.kind == "chat"] if section else []
        if not chats:
            raise UserError(f"The recipe {recipe.name} has no chat source: name a JSONL file of conversations.")
        source = chats[0]
    return documents_of(source, seed=0, report=SourceReport(name=source.name), once=True, token_count=token_count)
