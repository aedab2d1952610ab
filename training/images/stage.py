"""The stage `images`: grows a text-to-image model, which can be used while it is still learning."""

import shutil
import sys
from functools import cached_property
from pathlib import Path

from serving.home import home
from serving.images.folder import check_image_folder
from serving.model_folder import Lineage, Source
from training.images.sources import Pictures, fingerprint, open_pictures
from training.images.words import caption_tokenizer, save_tokenizer
from training.launch import Layout
from training.recipe import Recipe
from training.stage import TrainerStage

COMPILED_FROM_S = 240
SECONDS_PER_IMAGE = 0.004  # of a processor core, about, at 48 pixels


class ImagesStage(TrainerStage):
    """Its result is a diffusers pipeline folder, replaced by a better one at every checkpoint."""

    name, module = "images", "training.images.train"

    @classmethod
    def output_of(cls, recipe: Recipe) -> Path:
        return home() / "models" / recipe.name

    def further_inputs(self) -> dict:
        return {"sources": {source.label: fingerprint(source) for source in self.section.sources}}

    def check(self, folder: Path) -> None:
        check_image_folder(folder)

    def grow(self) -> Lineage:
        words = sorted({word for pictures in self._pictures for word in pictures.words})
        save_tokenizer(caption_tokenizer(words), self.tokenizer)
        for source, pictures in zip(self.section.sources, self._pictures, strict=True):
            if pictures.unusable:
                print(f"{source.label}: skipped {pictures.unusable}", file=sys.stderr)
        layout = self.layout()
        steps = self.steps(layout)
        result = self.train(layout, steps)
        return self.lineage(self._sources(), result.seconds, result.metrics, pictures=steps * self.section.per_step)

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer"

    @cached_property
    def _pictures(self) -> list[Pictures]:
        return [open_pictures(source, self.section.size) for source in self.section.sources]

    def _sources(self) -> list[Source]:
        hashes = self.inputs["sources"]
        return [
            Source(name=source.label, licence=source.licence, rows=pictures.count or 0, sha256=hashes[source.label])
            for source, pictures in zip(self.section.sources, self._pictures, strict=True)
        ]

    def parameters(self) -> int:
        """Those of the transformer's layers; the rest is small."""
        return 16 * self.section.depth * self.section.dim**2

    def compiled(self, layout: Layout) -> bool:
        """From cold it costs up to a minute, and then saves a quarter of the time."""
        if self.section.compile != "auto":
            return self.section.compile
        budget = self.section.parsed_budget()
        seconds = budget.seconds
        if seconds is None:
            seconds = budget.amount * SECONDS_PER_IMAGE * (self.section.size / 48) ** 2
        return seconds >= COMPILED_FROM_S and shutil.which("g++") is not None
