"""One caller's wish for pictures, checked; as JSON it goes from the API to the worker."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_PROMPT = 32_000
MAX_PICTURES = 10
MIN_SIDE, MAX_SIDE = 16, 4096
# Picture i is drawn with seed + i, which must stay a 64-bit integer.
MAX_SEED = 2**63 - 1 - MAX_PICTURES

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT)]
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]


class Lora(BaseModel):
    """A LoRA by the name of its file in the folder of LoRAs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w[\w.-]{0,99}$")
    scale: float = Field(default=1.0, ge=-4, le=4)


class DrawRequest(BaseModel):
    """What to draw. Fields that are None are the model's choice."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    prompt: Prompt
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT)
    n: int = Field(default=1, ge=1, le=MAX_PICTURES)
    width: Side | None = Field(default=None, description="of the finished picture in px; None: the model's, or image's")
    height: Side | None = None
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)
    steps: int | None = Field(default=None, ge=1, le=200)
    guidance: float | None = Field(default=None, ge=0, le=20)
    loras: list[Lora] = Field(default=[], max_length=8)
    format: Literal["png", "jpeg", "webp"] = "png"
    compression: int = Field(default=100, ge=0, le=100, description="quality of jpeg and webp")
    partial_images: int = Field(default=0, ge=0, le=3)
    image: str | None = Field(default=None, description="base64 of a picture file to start from")
    mask: str | None = Field(default=None, description="base64; drawn anew where transparent or, without alpha, white")
    strength: float = Field(default=0.8, gt=0, le=1, description="how much of `image` is drawn anew")

    @model_validator(mode="after")
    def _fits_together(self) -> "DrawRequest":
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height are given together or not at all")
        if self.mask is not None and self.image is None:
            raise ValueError("a mask needs an image")
        if len({lora.name for lora in self.loras}) < len(self.loras):
            raise ValueError("a LoRA is named twice")
        return self
