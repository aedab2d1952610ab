"""What is asked of image models: scenes of the world that they learnt, or captions of real pictures."""

import base64
import io
import random
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

from eval.captioned import captions, pictures
from eval.data import Inputs, Missing, public_path
from eval.pictures.captions import caption
from eval.pictures.scene import Scene
from eval.pictures.world import FOLDER, World, world
from eval.scores.images import scene_of
from eval.scores.score import Sample
from eval.task import Variant, sampled
from serving.errors import UserError
from serving.model_folder import ModelFolderError, read_lineage

WORLDS = tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))
DEFAULT_WORLD = "small"
CANDIDATES = 100
"""Among so many captions the right one is looked for."""
HELD_OUT = 60
SINGLES, FEWEST_OF_A_KIND = 80, 5
"""So many single things at least, and so many of every kind."""
KEPT_SIDE = 32
"""Pixels a side of what a sample keeps of a real picture."""


def known_scenes(inputs: Inputs) -> list[Sample]:
    """Scenes of every kind, equally many, no two with the same things on the same background."""
    here = drawn_world(inputs)
    rng, taken, samples = random.Random(f"{here.name}/known"), set(), []
    for number, kind in zip(range(CANDIDATES), cycle(here.scene_kinds), strict=False):
        while (scene := here.scene(rng, kind)) and _content(scene) in taken:
            pass
        taken.add(_content(scene))
        samples.append(_sample(scene, number, rng))
    return samples


def held_out_scenes(inputs: Inputs) -> list[Sample]:
    """Scenes of every kind, equally many, whose first thing has a colour that training never showed it in."""
    here = drawn_world(inputs)
    rng = random.Random(f"{here.name}/held out")
    kinds = zip(range(HELD_OUT), cycle(here.scene_kinds), strict=False)
    return [_sample(here.scene(rng, kind, held_out=True), number, rng) for number, kind in kinds]


def single_things(inputs: Inputs) -> list[Sample]:
    """Scenes of one thing, of every kind of thing as many."""
    here = drawn_world(inputs)
    rng, samples = random.Random(f"{here.name}/single things"), []
    count = max(SINGLES, FEWEST_OF_A_KIND * len(here.kinds))
    for number, thing in zip(range(count), cycle(here.kinds), strict=False):
        while (scene := here.scene(rng, "single")).things[0].kind != thing:
            pass
        samples.append(_sample(scene, number, rng) | {"thing": thing})
    return samples


def captioned_pictures(inputs: Inputs) -> list[Sample]:
    """Captions of real pictures, and these as small PNGs, so that they are at hand when the run is read."""
    folder = captioned_folder(inputs)
    told = sampled(list(captions(folder).items()), CANDIDATES)
    samples: list[Sample] = []
    for (said, file), picture in zip(told, pictures(folder, [file for _, file in told]), strict=True):
        if picture is None:
            raise UserError(f"The picture {file} of {folder} cannot be read: correct or delete its line.")
        kept = io.BytesIO()
        picture.resize((KEPT_SIDE, KEPT_SIDE)).save(kept, "png")
        encoded = base64.b64encode(kept.getvalue()).decode()
        samples.append({"id": file, "caption": said, "seed": len(samples), "picture": encoded})
    return samples


def drawn_world(inputs: Inputs) -> World:
    """The world that the model learnt, by the user's word or its lineage; else the small one.

    Raises `Missing` for a model that learnt from files alone.
    """
    named = _sources(inputs)
    worlds = [name.removesuffix(" world") for name in named if name.removesuffix(" world") in WORLDS]
    if named and not worlds:
        raise Missing(f"the model learnt from no drawn world, but from {', '.join(named)}")
    return world(worlds[0] if worlds else DEFAULT_WORLD)


def captioned_folder(inputs: Inputs) -> Path:
    """The captioned pictures that the model learnt, here or below HOMEGROWN_DATA. Raises `Missing` for none."""
    files = [name for name in _sources(inputs) if name.removesuffix(" world") not in WORLDS]
    if not files:
        raise Missing("it is about models that learnt captioned pictures: --pictures names their folder")
    return Path(files[0]) if Path(files[0]).is_dir() else public_path(files[0])


def in_held_out_wording() -> Variant:
    """The same scene in a wording that training never used."""
    return _told_otherwise("wording", held_out_wording=True)


def in_synonyms() -> Variant:
    """The same scene with a synonym wherever there is one."""
    return _told_otherwise("synonyms", synonyms=1.0)


def _told_otherwise(name: str, **how: Any) -> Variant:
    def apply(sample: Sample, rng: random.Random) -> Sample:
        return sample | {"caption": caption(scene_of(sample), rng, **{"synonyms": 0.0} | how)}

    return Variant(name, apply)


def _sources(inputs: Inputs) -> list[str]:
    """The names of what the model learnt, a world's ending in " world"; none where nobody says."""
    if inputs.pictures in WORLDS:
        return [f"{inputs.pictures} world"]
    if inputs.pictures:
        return [inputs.pictures]
    try:
        return [source.name for source in read_lineage(inputs.folder).sources] if inputs.folder else []
    except ModelFolderError:
        return []


def _sample(scene: Scene, number: int, rng: random.Random) -> Sample:
    told = caption(scene, rng, synonyms=0.0)
    return {"id": f"{scene.kind}-{number}", "kind": scene.kind, "caption": told, "seed": number, "scene": asdict(scene)}


def _content(scene: Scene) -> tuple[str, frozenset]:
    return scene.background, frozenset((thing.colour, thing.kind) for thing in scene.things)
