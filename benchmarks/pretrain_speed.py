"""Tokens/s of pretraining on this machine: processes against threads, eager against compiled.

    python -m benchmarks.pretrain_speed [--depth 4] [--rows 128 512]

Every figure comes from the trainer itself, on almanac text and chat, after its first steps. On a busy machine only the
tokens per CPU-second of one process mean something; with one process of several threads those count all threads.
"""

import argparse
import itertools
import os
import tempfile

from training.launch import Layout, cores
from training.pipeline import STAGES
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
    layouts = [Layout("cpu", cores(), 1), Layout("cpu", 1, cores())]
    print("  row  processes x threads            tokens/s  tokens/CPU-s  load")
    for row in arguments.rows:
        with tempfile.TemporaryDirectory() as home:
            os.environ["HOMEGROWN_HOME"] = home
            recipe = recipe_for(arguments.depth, row)
            STAGES["tokenizer"](recipe).run()
            for layout, compiled in itertools.product(layouts, (False, True)):
                result = STAGES["pretrain"](recipe).measure(layout, compiled)
                print(
                    f"{row:>5}  {layout.processes} x {layout.threads} {'compiled' if compiled else 'eager':<24}"
                    f"{result.per_second:>10,.0f}{result.per_cpu_second:>14,.0f}{os.getloadavg()[0]:>6.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
