"""The section `images` of a recipe: a text-to-image model and the pictures that it learns from."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.section import OptimizedSection, Section


class PictureSource(Section):
    """Captioned pictures: a drawn world (`eval.pictures`), or a folder or archive of files with captions."""

    world: Literal["small", "large"] | None = None
    name: str | None = Field(default=None, description="folder, zip or tar, here or under HOMEGROWN_DATA")
    weight: float = Field(default=1.0, gt=0)
    caption: list[str] = Field(
        default=["caption", "text"],
        min_length=1,
        description="columns of the captions: those that a row has, lists too, are joined by commas",
    )
    held_out: float = Field(default=0.02, ge=0, lt=1, description="share of the files' pictures kept for validation")
    licence: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "PictureSource":
        if (self.world is None) == (self.name is None):
            raise ValueError("a source has either `world` or `name`")
        return self

    @property
    def label(self) -> str:
        return self.name or f"{self.world} world"


class ImagesSection(OptimizedSection):
    """The dials of `homegrown train images`; see serving/images/model.py for the model they size."""

    unit: ClassVar[str] = "images"

    sources: list[PictureSource] = Field(min_length=1)
    size: int = Field(default=48, ge=16, le=512, description="pixels a side")
    patch: int = Field(default=8, ge=2)
    dim: int = Field(default=128, ge=32)
    depth: int = Field(default=6, ge=1)
    heads: int = Field(default=4, ge=1)
    palette: int = Field(default=4, ge=1, description="colours that a patch is painted with")
    slots: int = Field(default=0, ge=0, description="things painted each by itself, of drawn worlds; 0: patches paint")
    caption_depth: int = Field(default=2, ge=1)
    batch: int = Field(default=32, ge=1, description="pictures of one optimizer step, all processes together")
    learning_rate: float = Field(default=4e-3, gt=0)
    embedding_learning_rate: float = Field(default=1.5e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    decay: float = Field(default=1.0, ge=0, le=1)
    average: float = Field(default=0.997, ge=0, lt=1, description="of the weights that are sampled from (EMA)")
    noise_mean: float = Field(default=2.0, description="of the logit of time; 1 is pure noise")
    noise_std: float = Field(default=1.3, gt=0)
    pure_noise: float = Field(
        default=0.5, ge=0, le=1, description="share of examples at time 1 at first; it falls to none in the end"
    )
    time_power: float = Field(default=0.5, ge=0, description="of time, by which a loss is divided; 2: flow velocity")
    thing_weight: float = Field(default=3.0, ge=1, description="of pixels on and near a drawn thing in the loss")
    place_weight: float = Field(default=0.1, ge=0, description="of where the things of slots stand, in the loss")
    outline_weight: float = Field(default=1.0, ge=0, description="of what the things of slots cover, in the loss")
    empty_captions: float = Field(default=0.1, ge=0, lt=1, description="share, for classifier-free guidance")
    shift: float = Field(
        default=8.0, gt=0, description="of the scheduler: how much longer sampling stays in high noise"
    )
    samples_every: int = Field(default=400, ge=1, description="steps between sample sheets and validation losses")

    @model_validator(mode="after")
    def _tiled(self) -> "ImagesSection":
        if self.size % self.patch:
            raise ValueError(f"size ({self.size}) is no multiple of patch ({self.patch})")
        return self

    @model_validator(mode="after")
    def _flat(self) -> "ImagesSection":
        if self.slots and any(source.name for source in self.sources):
            raise ValueError("slots paint flat things of drawn worlds: leave them out where a source is files")
        return self

    @property
    def rows_per_batch(self) -> int:
        return self.batch

    @property
    def per_step(self) -> int:
        return self.batch
