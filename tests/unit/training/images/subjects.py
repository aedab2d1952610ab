"""A made-up subject, and jobs that train a tiny pipeline on it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.tiny_pipelines import NATIVE_SIZE, write_tiny_pipeline
from training.images.personalise import PersonalJob, Wish
from training.launch import Layout

GROUNDS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 220)}


def picture(ground: tuple[int, int, int], px: int = 32) -> np.ndarray:
    """A yellow bar upon a ground."""
    drawn = np.full((px, px, 3), ground, np.uint8)
    drawn[px // 4 : -px // 4, px // 3 : -px // 3] = (250, 220, 20)
    return drawn


def write_subject(folder: Path) -> Path:
    """Three pictures with captions beside them."""
    folder.mkdir(parents=True)
    for colour, ground in GROUNDS.items():
        Image.fromarray(picture(ground)).save(folder / f"{colour}.png")
        (folder / f"{colour}.txt").write_text(f"a sks on a {colour} background")
    return folder


def make_job(folder: Path, kind: str = "PixelPipeline", **wish: object) -> PersonalJob:
    """A job for a tiny pipeline of the class `kind` (one of `NATIVE_SIZE`)."""
    assert kind in NATIVE_SIZE
    base = write_tiny_pipeline(folder / "base", kind)
    chosen = {"token": "sks", "prior": 0, "learning_rate": 1e-2, "steps": 10, "samples_every": 5} | wish
    return PersonalJob(
        wish=Wish(subject=write_subject(folder / "subject"), **chosen),
        base=base,
        base_sha256="0" * 64,
        folder=folder / "run",
        lora=folder / "loras" / "sks.safetensors",
        layout=Layout("cpu", 1, 1),
    )
