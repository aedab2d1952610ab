"""How often a reward model prefers what was preferred, on prompts that it has not seen, beside length alone.

    HOMEGROWN_DATA=... python -m benchmarks.unseen_preferences [--base stories] [--epochs 2] [--set reward.x=y ...]

`homegrown train reward` learns from alpaca_eval_preferences/train.jsonl.xz; the pairs of heldout.jsonl.xz are about
other prompts. All of them were judged by GPT-4, which likes long answers: the peer always takes the longer one.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from scipy.stats import binomtest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from eval.statistics import wilson
from serving.home import home
from training.alignment.examples import Examples
from training.alignment.reward import answer_ids, rewards_of
from training.corpus.locations import locate
from training.corpus.readers import read_rows
from training.recipe import Recipe, load_recipe
from training.rendering import Renderer

PAIRS = "alpaca_eval_preferences/{}.jsonl.xz"
NAME = "unseen-preferences"
AT_ONCE = 64


def recipe_for(base: str, epochs: float) -> dict:
    """One with room for answers of 1,200 characters."""
    rows = sum(1 for _ in read_rows(locate(PAIRS.format("train"))[0]))
    return {
        "name": NAME,
        "persona": "stories",
        "reward": {
            "base": base,
            "budget": f"{round(epochs * rows)} examples",
            "batch": 16,  # a step attends within 32 answers of up to 1,024 tokens at once
            "learning_rate": 2e-4,
            "context": 1024,
            "answer_tokens": 512,
            "sources": [{"name": PAIRS.format("train"), "licence": "CC BY-NC 4.0"}],
        },
    }


def unseen_pairs(recipe: Recipe, tokenizer: Path, folder: Path) -> list[dict]:
    """The pairs that are held out, written as the reward model learnt to read them."""
    source = recipe.reward.sources[0].model_copy(update={"name": PAIRS.format("heldout")})
    section = recipe.reward.model_copy(update={"sources": [source], "held_out": 0})
    examples = Examples(section, "preference", Renderer(tokenizer, recipe.chat_dress()), recipe.seed)
    examples.write(folder, 10**6)
    return [row.data for row in read_rows(folder / "training.jsonl")]


def compare(model: Path, pairs: list[dict]) -> None:
    """Print how often the model is right, how often length is, and which of the two is right where one is not."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    reward_model = AutoModelForSequenceClassification.from_pretrained(model)
    right, longer = [], []
    for start in range(0, len(pairs), AT_ONCE):
        part = pairs[start : start + AT_ONCE]
        ids = [[answer_ids(tokenizer, pair["prompt"], pair[side]) for pair in part] for side in ("chosen", "rejected")]
        chosen, rejected = (rewards_of(reward_model, tokenizer.pad_token_id, of) for of in ids)
        right += [good > bad for good, bad in zip(chosen, rejected, strict=True)]
        longer += [len(good) > len(bad) for good, bad in zip(*ids, strict=True)]
    for name, hits in (("reward model", right), ("the longer answer", longer)):
        share = wilson(sum(hits), len(hits))
        print(f"{name:<20}{share.value:6.1%}  ({share.low:.1%} to {share.high:.1%}, n = {len(hits)})")
    won, lost = (sum(a and not b for a, b in zip(*of, strict=True)) for of in ((right, longer), (longer, right)))
    p = binomtest(won, won + lost).pvalue if won + lost else 1.0
    print(f"right where length is wrong: {won}, wrong where length is right: {lost}, p = {p:.2g} (sign test)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="stories")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--set", action="append", default=[], help="change a key of the recipe", metavar="a.b=value")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{NAME}.yaml"
        file.write_text(yaml.safe_dump(recipe_for(wanted.base, wanted.epochs)), encoding="utf-8")
        recipe = load_recipe(str(file), wanted.set)
        dials = [word for dial in wanted.set for word in ("--set", dial)]
        command = [sys.executable, "-m", "homegrown", "train", "reward", str(file), *dials]
        if failed := subprocess.run(command, check=False).returncode:
            sys.exit(failed)
        model = home() / "models" / f"{NAME}-reward"
        compare(model, unseen_pairs(recipe, model, Path(folder) / "pairs"))


if __name__ == "__main__":
    main()
