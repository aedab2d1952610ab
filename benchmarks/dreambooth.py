"""Whether an image model learns a subject that it never saw from five pictures, and what that costs it.

    python benchmarks/dreambooth.py [--model images] [--kind fish] [--colour purple] [--new 80] [--known 200] [...]

The subject is a drawn outline of the larger world of `eval/pictures`; the model must have learnt the smaller one.
After `homegrown train personalise` (its other options are passed on) new scenes with the subject are drawn: on
backgrounds, in wordings and mostly at places that none of the five pictures has. Prints how often the subject is
recognised there by its outline and colour, and how often everything is right in scenes of what the model knew before.
"""

import argparse
import os
import random
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from eval.pictures.adherence import adherence
from eval.pictures.captions import caption
from eval.pictures.draw import draw
from eval.pictures.layouts import GRID
from eval.pictures.scene import Scene, Thing
from eval.pictures.world import world

TOKEN = "sks"
BATCH = 20
# Background, what the caption says, and x, y, radius on the grid: where and how large the small world has such things.
PICTURES = [
    ("white", f"a large {TOKEN}", 24, 24, 16),
    ("yellow", f"a {TOKEN} in the top left corner", 8, 8, 7),
    ("blue", f"a {TOKEN}", 24, 24, 11),
    ("green", f"a {TOKEN} on the right", 40, 24, 7),
    ("pink", f"a {TOKEN} at the bottom", 24, 40, 7),
]
Told = tuple[str, Scene]
"""A caption and the scene that it means."""


def write_subject(folder: Path, kind: str, colour: str, px: int) -> None:
    """Five pictures of the subject, with captions beside them."""
    for number, (background, told, x, y, radius) in enumerate(PICTURES):
        thing = Thing(colour, kind, x / GRID, y / GRID, radius / GRID)
        Image.fromarray(draw(Scene("large", "single", background, (thing,)), px)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"{told} on a {background} background")


def new_scenes(kind: str, colour: str, count: int) -> list[Told]:
    """Scenes of the subject alone on backgrounds that none of its pictures has, half of them in held-out wordings."""
    rng = random.Random(1)
    small = world("small")
    backgrounds = sorted({*small.colours} - {background for background, *_ in PICTURES} - {colour})
    told = []
    for number in range(count):
        layout = small.scene(rng, rng.choice(("single", "placed")))
        spot = layout.things[0]
        thing = Thing(colour, kind, spot.x, spot.y, spot.radius)
        scene = Scene("large", layout.kind, rng.choice(backgrounds), (thing,), None, layout.place, layout.size)
        words = caption(scene, rng, synonyms=0, held_out_wording=number % 2 == 1)
        told.append((re.sub(rf"\ban? ((?:small |large )?){colour} {kind}|{colour} {kind}", _named, words), scene))
    return told


def _named(found: re.Match) -> str:
    return TOKEN if found[1] is None else f"a {found[1]}{TOKEN}"


def known_scenes(count: int) -> list[Told]:
    """Scenes of the smaller world, in words that the model was trained on."""
    rng = random.Random(2)
    scenes = [world("small").scene(rng) for _ in range(count)]
    return [(caption(scene, rng), scene) for scene in scenes]


def drawn(pipeline, told: list[Told]) -> list[np.ndarray]:
    """A picture for each caption."""
    pictures = []
    for start in range(0, len(told), BATCH):
        captions = [words for words, _ in told[start : start + BATCH]]
        generators = [torch.Generator().manual_seed(start + place) for place in range(len(captions))]
        pictures += [np.asarray(picture) for picture in pipeline(captions, generator=generators).images]
    return pictures


def recognised(pictures: list[np.ndarray], told: list[Told]) -> list[bool]:
    """Where the only thing has the subject's outline and colour."""
    seen = [adherence(picture, scene) for picture, (_, scene) in zip(pictures, told, strict=True)]
    return [one.count and one.kinds == one.colours == 1 for one in seen]


def right(pictures: list[np.ndarray], told: list[Told]) -> list[bool]:
    """Where everything is as the scene says."""
    return [adherence(picture, scene).everything for picture, (_, scene) in zip(pictures, told, strict=True)]


def measure(pipeline, lora: Path, new: list[Told], known: list[Told]) -> dict[str, list[bool]]:
    """What is right without and with the LoRA."""
    before = drawn(pipeline, new), drawn(pipeline, known)
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
    after = drawn(pipeline, new), drawn(pipeline, known)
    return {
        "subject recognised, without the LoRA": recognised(before[0], new),
        "subject recognised, with it": recognised(after[0], new),
        "subject scenes with background and place right too": right(after[0], new),
        "known scenes right, without the LoRA": right(before[1], known),
        "known scenes right, with it": right(after[1], known),
    }


def main() -> None:
    """Train in a home of its own, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="images")
    parser.add_argument("--kind", default="fish")
    parser.add_argument("--colour", default="purple")
    parser.add_argument("--new", type=int, default=80)
    parser.add_argument("--known", type=int, default=200)
    for option, kind in (("steps", int), ("rank", int), ("prior", int), ("learning_rate", float), ("seed", int)):
        parser.add_argument(f"--{option.replace('_', '-')}", type=kind)
    arguments = vars(parser.parse_args())

    from serving.images.folder import image_folder
    from serving.images.loading import load_pipeline
    from serving.images.machine import Placement
    from training.images.personalise import Wish, personalise

    folder = image_folder(arguments["model"]).resolve()
    pipeline = load_pipeline(folder, Placement("cpu", "float32"))
    options = ("steps", "rank", "prior", "learning_rate", "seed")
    chosen = {name: arguments[name] for name in options if arguments[name] is not None}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HOMEGROWN_HOME"] = scratch
        subject = Path(scratch) / "subject"
        subject.mkdir()
        write_subject(subject, arguments["kind"], arguments["colour"], pipeline.transformer.config.sample_size)
        lora = personalise(Wish(subject=subject, token=TOKEN, model=str(folder), **chosen))
        new = new_scenes(arguments["kind"], arguments["colour"], arguments["new"])
        figures = measure(pipeline, lora, new, known_scenes(arguments["known"]))
    print("| measure | scenes | share |\n|---|---|---|")
    for name, found in figures.items():
        print(f"| {name} | {len(found)} | {np.mean(found):.1%} |")


if __name__ == "__main__":
    main()
