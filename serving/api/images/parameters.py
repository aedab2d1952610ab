"""What a request for pictures may ask for: OpenAI's parameters with their bounds, and vLLM-Omni's extras by name."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from serving.api.errors import ApiError
from serving.api.parameters import first_problem, invalid
from serving.images.request import MAX_PICTURES, MAX_PROMPT, MAX_SEED, MIN_SIDE, DrawRequest, Lora, Prompt

MAX_SIDE = 2048  # a worker draws larger ones, but an answer may hold ten of them
# OpenAI's parameters that no engine here honours.
UNSUPPORTED = frozenset({"complexity", "frame_count", "frame_duration_ms", "markup", "svg"})
SIZE = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")
LORA_FIELD = re.compile(r"lora\[(name|scale)\]")  # how OpenAI's client sends an object in a form


def _sides(size: object) -> tuple[int, int] | None:
    if size in (None, "auto"):
        return None
    match = SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None:
        raise PydanticCustomError("size", 'must be "auto" or WIDTHxHEIGHT in pixels, like "512x512"')
    width, height = int(match[1]), int(match[2])
    if not MIN_SIDE <= min(width, height) <= max(width, height) <= MAX_SIDE:
        raise PydanticCustomError("size", f"must be between {MIN_SIDE}x{MIN_SIDE} and {MAX_SIDE}x{MAX_SIDE}")
    return width, height


def _several(lora: object) -> object:
    return [] if lora is None else lora if isinstance(lora, list) else [lora]


def _different(loras: list[Lora]) -> list[Lora]:
    if len({lora.name for lora in loras}) < len(loras):
        raise PydanticCustomError("lora", "names the same LoRA twice")
    return loras


class GenerationParameters(BaseModel):
    """POST /v1/images/generations. `size` becomes width and height in px, None for the model's own."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    model: str | None = Field(default=None, min_length=1)
    n: Annotated[int | None, Field(ge=1, le=MAX_PICTURES)] = None
    output_compression: Annotated[int | None, Field(ge=0, le=100)] = None
    output_format: Literal["png", "jpeg", "webp"] | None = None
    partial_images: Annotated[int | None, Field(ge=0, le=3)] = None
    response_format: Literal["url", "b64_json"] | None = None
    size: Annotated[tuple[int, int] | None, BeforeValidator(_sides)] = None
    stream: bool | None = None
    # vLLM-Omni's.
    guidance_scale: Annotated[float | None, Field(ge=0, le=20, allow_inf_nan=False)] = None
    lora: Annotated[list[Lora], Field(max_length=8), BeforeValidator(_several), AfterValidator(_different)] = []
    negative_prompt: Annotated[str | None, Field(max_length=MAX_PROMPT)] = None
    num_inference_steps: Annotated[int | None, Field(ge=1, le=200)] = None
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED)] = None
    strength: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False)] = None  # of edits only
    # Accepted and without effect: the answer says what was drawn instead.
    background: Literal["auto", "transparent", "opaque"] | None = None
    moderation: Literal["auto", "low"] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    safety_identifier: str | None = None
    style: Literal["vivid", "natural"] | None = None
    user: str | None = None

    def wish(self, **pictures: str) -> DrawRequest:
        """The same in the worker's terms, with the pictures to start from; None leaves the choice to the worker."""
        width, height = self.size or (None, None)
        fields = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "n": self.n,
            "width": width,
            "height": height,
            "seed": self.seed,
            "steps": self.num_inference_steps,
            "guidance": self.guidance_scale,
            "loras": self.lora,
            "format": self.output_format,
            "compression": self.output_compression,
            "partial_images": self.partial_images,
            "strength": self.strength,
            **pictures,
        }
        return DrawRequest(**{name: value for name, value in fields.items() if value is not None})


class EditParameters(GenerationParameters):
    """The fields of POST /v1/images/edits; its pictures come as files."""

    input_fidelity: Literal["high", "low"] | None = None  # without effect, like `quality`


Kind = TypeVar("Kind", bound=GenerationParameters)


def check_generation(body: dict) -> GenerationParameters:
    """The parameters of a JSON body. Raises `ApiError` 400 naming the first that cannot be served."""
    wanted = _checked(GenerationParameters, body, strict=True)
    if wanted.strength is not None:
        raise invalid("strength", "is only allowed at /v1/images/edits, where there is a picture to start from")
    return wanted


def check_edit(fields: dict[str, list[str]]) -> EditParameters:
    """The parameters of a form, whose values are all text. Raises `ApiError` 400 as above."""
    body: dict[str, Any] = {}
    for name, values in fields.items():
        if name.removesuffix("[]") in ("image", "mask"):
            raise invalid(name, "must be sent as a file")
        if len(values) > 1:
            raise invalid(name[:100], "was sent more than once")
        if match := LORA_FIELD.fullmatch(name):
            body.setdefault("lora", {})[match[1]] = values[0]
        else:
            body[name] = values[0]
    return _checked(EditParameters, body, strict=False)


def _checked(kind: type[Kind], body: dict, strict: bool) -> Kind:
    for name in sorted(UNSUPPORTED & body.keys()):
        if body[name] is not None:
            raise ApiError(400, f"`{name}` is not supported here.", param=name, code="unsupported_parameter")
    try:
        given = {name: value for name, value in body.items() if name not in UNSUPPORTED}
        wanted = kind.model_validate(given, strict=strict)
    except ValidationError as error:
        raise first_problem(error) from None
    if wanted.partial_images and not wanted.stream:
        raise invalid("partial_images", "is only allowed when `stream` is true")
    if wanted.stream and wanted.response_format == "url":
        raise invalid("response_format", "must be b64_json when `stream` is true: events carry the pictures themselves")
    return wanted
