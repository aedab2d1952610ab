"""Tokens/s of pretraining on this machine: processes against threads, eager against compiled.

    python -m benchmarks.pretrain_speed [--depth 4] [--rows 128 512]

Every figure comes from the trainer itself, on almanac text and chat, after its first steps. Start-up is the time to
the end of the first step, compiling from an empty cache included where there is any.
"""

import argparse
import os
import tempfile

from training.launch import Layout, cores
from training.pipeline import Stage
from training.recipe import Recipe, load_recipe


def recipe_for(depth: int, row: int) -> Recipe:
    return load_recipe(
        "tiny",
        [
            f"model.depth={depth}",
            "tokenizer.vocabulary=2048",
            f"pretrain.row={row}",
            "pretrain.checkpoint_every=1000000",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--rows", type=int, nargs="+", default=[128, 512])
    arguments = parser.parse_args()
    layouts = [Layout("cpu", cores(), 1), Layout("cpu", 1, cores()), Layout("cpu", 1, 1)]
    print(
        f"{'row':>5} {'processes x threads':>20} {'eager':>10} {'compiled':>10}   tokens/s, load {os.getloadavg()[0]:.1f}"
    )
    for row in arguments.rows:
        with tempfile.TemporaryDirectory() as home:
            os.environ["HOMEGROWN_HOME"] = home
            recipe = recipe_for(arguments.depth, row)
            Stage(recipe, "tokenizer").run()
            for layout in layouts:
                speeds = [Stage(recipe, "pretrain").measure(layout, compiled) for compiled in (False, True)]
                eager, compiled = (result.tokens_per_second for result in speeds)
                print(
                    f"{row:>5} {f'{layout.processes} x {layout.threads}':>20} {eager:>10,.0f} {compiled:>10,.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
