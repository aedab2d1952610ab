"""Prior preservation: pictures that the model itself draws before it learns a subject, so that the rest stays.

Ruiz et al. 2023, "DreamBooth: Fine Tuning Text-to-Image Diffusion Models for Subject-Driven Generation",
arXiv:2208.12242.
"""

import json
import random
import shutil
import sys
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from eval.pictures.captions import caption
from eval.pictures.world import world
from serving.images.folder import is_own
from serving.model_folder import read_lineage
from training.checkpoints import write_whole
from training.images.files import fitted
from training.images.subject import Photo
from training.progress import LiveLine

WORLDS = {"small world": "small", "large world": "large"}
BATCH = 8
CAPTIONS = "captions.jsonl"


def prior_captions(base: Path, class_name: str | None, template: str, count: int, seed: int) -> list[str]:
    """What the prior pictures show: scenes of the worlds that our model has learnt, else things of the class.

    There is nothing if the model has learnt no world and no class is named.
    """
    rng = random.Random(seed)
    if learnt := _worlds_learnt(base):
        return [caption(world(rng.choice(learnt)).scene(rng), rng) for _ in range(count)]
    return [template.format(class_name)] * count if class_name else []


def _worlds_learnt(base: Path) -> list[str]:
    if not is_own(base) or not (base / "lineage.json").is_file():
        return []
    return [WORLDS[source.name] for source in read_lineage(base).sources if source.name in WORLDS]


def prior_photos(pipeline: DiffusionPipeline, captions: list[str], folder: Path, size: int, seed: int) -> list[Photo]:
    """A picture for each of `captions` at `size` x `size`, drawn and kept in `folder` unless they are there."""
    if not folder.is_dir():
        _draw(pipeline, captions, folder, seed)
    rows = [json.loads(line) for line in (folder / CAPTIONS).read_text(encoding="utf-8").splitlines()]
    return [Photo(fitted((folder / row["file_name"]).read_bytes(), size)[0], row["caption"]) for row in rows]


def _draw(pipeline: DiffusionPipeline, captions: list[str], folder: Path, seed: int) -> None:
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    rows = []
    with LiveLine(sys.stdout) as line:
        for start in range(0, len(captions), BATCH):
            line.show(f"personalise  drawing what must stay  {start}/{len(captions)}")
            batch = captions[start : start + BATCH]
            generators = [torch.Generator().manual_seed(seed + start + place) for place in range(len(batch))]
            for place, picture in enumerate(pipeline(batch, generator=generators).images, start):
                rows.append({"file_name": f"{place:04}.png", "caption": captions[place]})
                picture.save(unfinished / rows[-1]["file_name"])
        line.show(f"personalise  drew {len(captions)} pictures of what must stay")
    write_whole(unfinished / CAPTIONS, "".join(json.dumps(row) + "\n" for row in rows))
    unfinished.rename(folder)
