"""Writes the examination of a recipe that learns from the almanac, where `homegrown eval run` looks for it."""

from pathlib import Path
from typing import Literal

from serving.home import home
from training.recipe import Recipe


def is_examined(recipe: Recipe) -> bool:
    """Whether there are questions with known answers for what this recipe teaches."""
    return recipe.tokenizer is not None and any(source.name == "almanac" for source in recipe.tokenizer.sources)


Set = Literal["dev", "final", "hard"]


def write_exam(recipe: Recipe, tokenizer: Path, which: Set = "dev") -> Path:
    """Write `exams/<recipe>/<which>.jsonl`, unless it is there and younger than the tokenizer.

    The tokenizer is needed to give made-up names as many tokens as real ones. How well tokens alone tell the two apart
    is printed.
    """
    from tokenizers import Tokenizer

    from training.corpus import almanac
    from training.corpus.almanac.exam import write_exam as write
    from training.corpus.almanac.leak import bag_of_tokens_auroc
    from training.corpus.hard_exam import write_hard_exam

    folder, source = home() / "exams" / recipe.name, tokenizer / "tokenizer.json"
    path = folder / f"{which}.jsonl"
    if path.exists() and path.stat().st_mtime >= source.stat().st_mtime:
        return path
    encoder = Tokenizer.from_file(str(source))

    def ids(text: str) -> list[int]:
        return encoder.encode(text, add_special_tokens=False).ids

    def token_count(name: str) -> int:
        return len(ids(f" {name}"))

    world, phrasing = almanac.world(), almanac.phrasing()
    if which == "hard":
        folder.mkdir(parents=True, exist_ok=True)
        write_hard_exam(path, world, phrasing, token_count)
    else:
        write(world, phrasing, folder, which, token_count)
    leaks = ", ".join(f"{subject} {value:.2f}" for subject, value in bag_of_tokens_auroc(world, ids).items())
    print(f"exam  {path}\nexam  real or made up, told by tokens alone (AUROC): {leaks}", flush=True)
    return path
