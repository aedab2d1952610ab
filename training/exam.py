"""Writes the examination of a recipe that learns from the almanac, where `homegrown eval run` looks for it."""

from pathlib import Path
from typing import Literal

from serving.settings import home
from training.recipe import Recipe


def is_examined(recipe: Recipe) -> bool:
    """Whether there are questions with known answers for what this recipe teaches."""
    return recipe.tokenizer is not None and any(source.name == "almanac" for source in recipe.tokenizer.sources)


def write_exam(recipe: Recipe, tokenizer: Path, which: Literal["dev", "final"] = "dev") -> Path:
    """Write `exams/<recipe>/<which>.jsonl` and print how well tokens alone tell made-up names from real ones."""
    from tokenizers import Tokenizer

    from training.corpus import almanac
    from training.corpus.almanac.exam import write_exam as write
    from training.corpus.almanac.leak import bag_of_tokens_auroc

    encoder = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))

    def ids(text: str) -> list[int]:
        return encoder.encode(text, add_special_tokens=False).ids

    def token_count(name: str) -> int:
        return len(ids(f" {name}"))

    world = almanac.world()
    path = write(world, almanac.phrasing(), home() / "exams" / recipe.name, which, token_count)
    leaks = bag_of_tokens_auroc(world, ids)
    print(f"exam  {path}", flush=True)
    print(f"exam  real or made up, by tokens alone (AUROC): {', '.join(f'{s} {v:.2f}' for s, v in leaks.items())}", flush=True)
    return path
