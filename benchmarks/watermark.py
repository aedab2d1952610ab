"""What the invisible watermark survives, how visible it is, and how often it is seen where it is not.

    HOMEGROWN_DATA=FOLDER python benchmarks/watermark.py [--marked 60] [--unmarked 1500] [--sheet FILE.png]

Pictures of three kinds: scenes of `eval/pictures` at 48 px, enlarged as the server does; emoji (`twemoji_72`,
`openmoji_72`) and crops of photographs (`dreambooth_subjects`) from FOLDER. Prints one table for marked pictures (the
share found at p < 0.001, the median and the largest p-value, PSNR) and one of false alarms.
"""

import argparse
import io
import os
import random
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from eval.pictures.draw import draw
from eval.pictures.world import world
from serving.images import watermark

Picture = Image.Image
LANCZOS = Image.Resampling.LANCZOS


def scenes(rng: random.Random, px: int) -> Iterator[Picture]:
    """Drawn scenes of the larger world."""
    while True:
        yield Image.fromarray(draw(world("large").scene(rng), 48)).resize((px, px), LANCZOS)


def emoji(rng: random.Random, px: int) -> Iterator[Picture]:
    """Emoji on white."""
    archives = [zipfile.ZipFile(_data() / name / "images.zip") for name in ("twemoji_72", "openmoji_72")]
    files = [(archive, name) for archive in archives for name in archive.namelist() if name.endswith(".png")]
    while True:
        archive, name = rng.choice(files)
        picture = Image.open(io.BytesIO(archive.read(name))).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        yield Image.alpha_composite(white, picture).convert("RGB").resize((px, px), LANCZOS)


def photographs(rng: random.Random, px: int) -> Iterator[Picture]:
    """Square crops of 45 to 100 % of a photograph's shorter side, half of them mirrored."""
    photos = [Image.open(path).convert("RGB") for path in sorted((_data() / "dreambooth_subjects").glob("*/*.jpg"))]
    while True:
        photo = rng.choice(photos)
        side = int(rng.uniform(0.45, 1) * min(photo.size))
        left, top = rng.randint(0, photo.width - side), rng.randint(0, photo.height - side)
        crop = photo.crop((left, top, left + side, top + side)).resize((px, px), LANCZOS)
        yield crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop


def encoded(picture: Picture, format: str) -> Picture:
    """`picture` as it comes back from a file of quality 75."""
    file = io.BytesIO()
    picture.save(file, format, quality=75)
    return Image.open(file).convert("RGB")


def half(picture: Picture) -> Picture:
    """`picture` at half its size."""
    return picture.resize((picture.width // 2, picture.height // 2), LANCZOS)


def and_back(picture: Picture) -> Picture:
    """`picture` at half its size, enlarged again."""
    return half(picture).resize(picture.size, Image.Resampling.BICUBIC)


def cropped(picture: Picture) -> Picture:
    """`picture` without a margin of 2 %."""
    margin = picture.width // 50
    return picture.crop((margin, margin, picture.width - margin, picture.height - margin))


KINDS = {"drawn scenes": scenes, "emoji": emoji, "photographs": photographs}
TREATMENTS: dict[str, Callable[[Picture], Picture]] = {
    "untouched": lambda picture: picture,
    "JPEG 75": lambda picture: encoded(picture, "JPEG"),
    "WebP 75": lambda picture: encoded(picture, "WEBP"),
    "half size": half,
    "half size and back": and_back,
    "half size, JPEG 75": lambda picture: encoded(half(picture), "JPEG"),
    "half size and back, JPEG 75": lambda picture: encoded(and_back(picture), "JPEG"),
    "half size, WebP 75": lambda picture: encoded(half(picture), "WEBP"),
    "2 % margin cut": cropped,
}


def decibels(before: Picture, after: Picture) -> float:
    """The peak signal-to-noise ratio of `after`."""
    return float(10 * np.log10(255**2 / np.mean((np.float64(before) - np.float64(after)) ** 2)))


def print_detection(count: int) -> None:
    """What is found of `count` marked pictures of each kind and size."""
    print("| pictures | px | PSNR, median and least | after | found at p < 0.001 | median p | largest p |")
    print("|---|---|---|---|---|---|---|")
    for kind, pictures in KINDS.items():
        for px in (256, 512):
            source = pictures(random.Random(px), px)
            before = [next(source) for _ in range(count)]
            after = [watermark.embed(picture) for picture in before]
            visible = [decibels(*pair) for pair in zip(before, after, strict=True)]
            for treatment, treat in TREATMENTS.items():
                p = np.array([watermark.detect(treat(picture)) for picture in after])
                print(
                    f"| {kind} | {px} | {np.median(visible):.1f}, {min(visible):.1f} dB | {treatment} "
                    f"| {np.mean(p < 0.001):.1%} | {np.median(p):.0e} | {p.max():.0e} |",
                    flush=True,
                )


def print_false_alarms(count: int) -> None:
    """How many of `count` unmarked pictures of each kind are called marked."""
    print("| unmarked pictures | after | tested | p < 0.05 | p < 0.01 | p < 0.001 | smallest p |")
    print("|---|---|---|---|---|---|---|")
    everything = []
    for kind, pictures in KINDS.items():
        source = pictures(random.Random(0), 256)
        sample = [next(source) for _ in range(count)]
        for treatment in ("untouched", "JPEG 75", "half size, JPEG 75"):
            p = np.array([watermark.detect(TREATMENTS[treatment](picture)) for picture in sample])
            everything.append(p)
            _print_rates(kind, treatment, p)
    _print_rates("all", "all", np.concatenate(everything))


def _print_rates(kind: str, treatment: str, p: np.ndarray) -> None:
    rates = " | ".join(f"{np.mean(p < level):.2%}" for level in (0.05, 0.01, 0.001))
    print(f"| {kind} | {treatment} | {len(p):,} | {rates} | {p.min():.0e} |", flush=True)


def save_sheet(file: Path) -> None:
    """Three pictures of each kind above their marked copies, to be looked at."""
    before = [next(pictures(random.Random(i), 512)) for i in range(3) for pictures in KINDS.values()]
    rows = [np.hstack([np.asarray(picture) for picture in row]) for row in (before, map(watermark.embed, before))]
    Image.fromarray(np.vstack(rows)).save(file)


def _data() -> Path:
    return Path(os.environ["HOMEGROWN_DATA"])


def main() -> None:
    """Measure what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--marked", type=int, default=60)
    parser.add_argument("--unmarked", type=int, default=1500)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    if arguments.sheet:
        save_sheet(arguments.sheet)
    print_detection(arguments.marked)
    print()
    print_false_alarms(arguments.unmarked)


if __name__ == "__main__":
    main()
