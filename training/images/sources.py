"""Where captioned pictures come from: a drawn world, or files."""

import hashlib
import random
from pathlib import Path

import numpy as np

import eval.pictures
from eval.pictures.captions import caption, vocabulary
from eval.pictures.draw import covered, draw, mask
from eval.pictures.scene import Scene
from eval.pictures.world import world
from training.images.drawn import Drawn, Pictures, near
from training.images.files import FilePictures, digest_of_source
from training.images.section import PictureSource


class WorldPictures:
    """Scenes of a drawn world, new ones every time."""

    count = None
    unusable = ""

    def __init__(self, name: str, size: int) -> None:
        self.world, self.size = world(name), size
        self.words = vocabulary(self.world)

    def sample(self, rng: random.Random, held_out: bool = False) -> Drawn:
        scene = self.world.scene(rng)
        told = caption(scene, rng)
        return Drawn(draw(scene, self.size), told, near(mask(scene, self.size)), self._each(scene))

    def _each(self, scene: Scene) -> list[tuple[int, int, np.ndarray]]:
        """Things that look alike, which a caption only counts, go from left to right."""
        looks = [(thing.colour, thing.kind) for thing in scene.things]
        ordered = sorted(scene.things, key=lambda thing: (looks.index((thing.colour, thing.kind)), thing.x))
        size = self.size
        return [(round(thing.x * size), round(thing.y * size), covered(thing, size)) for thing in ordered]


def open_pictures(source: PictureSource, size: int) -> Pictures:
    """The source's pictures at `size` x `size`. Raises `UserError` when there is none that can be used."""
    return FilePictures(source, size) if source.name else WorldPictures(source.world, size)


def fingerprint(source: PictureSource) -> str:
    """Something that changes when the source does: the files' bytes, or the code and the words of a world."""
    if source.name:
        return digest_of_source(source.name)
    folder = Path(eval.pictures.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".yaml"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
