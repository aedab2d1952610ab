"""Draws batches of pictures with one loaded pipeline: ours, or any text-to-image pipeline of diffusers."""

import functools
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.loaders.lora_base import LoraBaseMixin
from PIL import Image

from serving.api.errors import ApiError
from serving.images.folder import check_image_folder, identity, is_own, parameter_counts
from serving.images.jobs import Picture
from serving.images.loading import call_parameters, load_pipeline, native_size
from serving.images.loras import LoraFolder, LoraSwitch
from serving.images.machine import Dtype, ImageMachine, place
from serving.images.partials import Partials
from serving.images.request import DrawRequest
from serving.images.sizes import Size, drawn_size
from serving.images.uploads import Upload
from serving.model_folder import folder_digest

# How strongly a negative prompt pushes in models whose usual guidance knows none (FLUX): what diffusers recommends.
NEGATIVE_GUIDANCE = 4.0
BLACK = 2 / 255

# The batch, the step, of how many, and a guess of what picture `index` of the batch will be.
AfterStep = Callable[[list[Picture], int, int, Callable[[int], Image.Image | None]], None]


class Painter:
    """The pipeline in `folder`, loaded where the machine has room for it.

    Raises `UserError` when it cannot be used or needs more memory than there is.
    """

    def __init__(self, folder: Path, loras: LoraFolder, dtype: Dtype | None = None) -> None:
        self.identity = identity(folder)
        check_image_folder(folder)
        self.own = is_own(folder)
        parameters = parameter_counts(folder)
        self.placement = place(parameters, ImageMachine.here(), "float32" if self.own else dtype)
        started = time.monotonic()
        print(f"loading the weights: {sum(parameters.values()) / 1e6:.1f}M {self.placement}", flush=True)
        with ThreadPoolExecutor(1) as beside:
            digest = beside.submit(folder_digest, folder)
            self._pipeline = load_pipeline(folder, self.placement)
            self.sha256 = digest.result()
        print(f"loaded {self.kind} in {time.monotonic() - started:.1f} s", flush=True)
        self._parameters = call_parameters(self._pipeline)
        self._edits: dict[type, DiffusionPipeline] = {}
        self._loras, self._switch = loras, LoraSwitch(self._pipeline, loras)
        self.native_size = native_size(self._pipeline)

    @property
    def kind(self) -> str:
        """The class of the pipeline."""
        return type(self._pipeline).__name__

    @property
    def steps(self) -> int:
        """Steps of a picture unless a request says otherwise."""
        return self._parameters["num_inference_steps"].default

    def check(self, request: DrawRequest) -> None:
        """Raise `ApiError` (400) for what this model cannot do."""
        for field, parameter in (("negative_prompt", "negative_prompt"), ("guidance", "guidance_scale")):
            if getattr(request, field) and not {parameter, "true_cfg_scale"} & set(self._parameters):
                raise _unsupported(f"A {self.kind} takes no {field.replace('_', ' ')}.", field)
        if request.loras and not isinstance(self._pipeline, LoraBaseMixin):
            raise _unsupported(f"A {self.kind} takes no LoRAs.", "loras")
        for lora in request.loras:
            self._loras.file(lora.name)

    def batch_kind(self, picture: Picture) -> Hashable:
        """Pictures of the same kind can be drawn in one batch."""
        request, upload = picture.job.request, picture.job.upload
        source = upload and (request.strength, upload.mask is not None)
        loras = tuple(request.loras)
        return self.size_of(picture), request.steps, request.guidance, bool(request.negative_prompt), loras, source

    def size_of(self, picture: Picture) -> Size:
        """The size in px that the picture is drawn at."""
        return drawn_size(self.native_size, picture.wanted_size, self.own)

    def draw(self, pictures: list[Picture], after_step: AfterStep) -> list[Image.Image | ApiError]:
        """Pictures of one kind, each as its own seed has it; for one that cannot be shown, the reason.

        `after_step` may raise `Cancelled`. Raises `ApiError` when none of them can be drawn.
        """
        request, upload = pictures[0].job.request, pictures[0].job.upload
        self._switch.switch(request.loras)
        pipeline = self._pipeline_for(upload)
        try:
            output = pipeline(**self._arguments(pipeline, pictures, after_step))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            if len(pictures) == 1:
                message = "The picture needs more memory than is free: ask for a smaller one."
                raise ApiError(400, message, param="width", code="out_of_memory") from None
            half = len(pictures) // 2
            return self.draw(pictures[:half], after_step) + self.draw(pictures[half:], after_step)
        except torch.AcceleratorError as error:  # a GPU's context that failed once fails until the process is restarted
            raise SystemExit(f"AcceleratorError: {error}") from error
        finally:
            pipeline.maybe_free_model_hooks()
        flagged = output.get("nsfw_content_detected") or [False] * len(pictures)
        return [_shown(pixels, flag) for pixels, flag in zip(output.images, flagged, strict=True)]

    def _pipeline_for(self, upload: Upload | None) -> DiffusionPipeline:
        """The pipeline that draws from the words alone, or from a picture with or without a mask; parts are shared."""
        if self.own or upload is None:
            return self._pipeline
        # Importing these means importing every pipeline there is.
        from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting

        auto = AutoPipelineForImage2Image if upload.mask is None else AutoPipelineForInpainting
        if auto not in self._edits:
            try:
                self._edits[auto] = auto.from_pipe(self._pipeline)
            except ValueError:
                raise _unsupported(f"A {self.kind} cannot edit pictures.", "image") from None
            self._edits[auto].set_progress_bar_config(disable=True)
        return self._edits[auto]

    def _arguments(self, pipeline: DiffusionPipeline, pictures: list[Picture], after_step: AfterStep) -> dict:
        """What to call the pipeline with; what it does not take is left out."""
        request, upload = pictures[0].job.request, pictures[0].job.upload
        width, height = size = self.size_of(pictures[0])
        steps = request.steps or self.steps
        arguments = {
            "prompt": [picture.job.request.prompt for picture in pictures],
            "num_inference_steps": steps,
            "generator": [torch.Generator().manual_seed(picture.seed) for picture in pictures],
            "width": width,
            "height": height,
            "output_type": "np",
        }
        parameters = call_parameters(pipeline)
        arguments |= _guidance(parameters, pictures)
        if upload is not None:
            images, masks = zip(*(picture.job.upload.fitted(size) for picture in pictures), strict=True)
            # Less than one step's worth would be none, which the pipelines do not survive.
            strength = min(1.0, max(request.strength, (1 + 1e-6) / steps))
            arguments |= {"image": list(images), "strength": strength}
            arguments |= {"mask_image": list(masks)} if masks[0] else {}
            steps = max(1, round(steps * strength))
        after = functools.partial(after_step, pictures)
        arguments |= _watching(pipeline, parameters, Partials(pipeline, size), steps, after)
        return {name: value for name, value in arguments.items() if name in parameters}


def _guidance(parameters: dict, pictures: list[Picture]) -> dict:
    """How strongly the words are followed, and what is to be avoided."""
    guidance = pictures[0].job.request.guidance
    arguments = {} if guidance is None else {"guidance_scale": guidance}
    true_scale = parameters.get("true_cfg_scale")
    if pictures[0].job.request.negative_prompt:
        arguments["negative_prompt"] = [picture.job.request.negative_prompt for picture in pictures]
        if true_scale is not None:
            arguments["true_cfg_scale"] = NEGATIVE_GUIDANCE
    elif true_scale is not None and true_scale.default > 1:
        arguments["negative_prompt"] = [" "] * len(pictures)  # Qwen-Image is guided only with one
    if guidance is not None and true_scale is not None and true_scale.default > 1:
        arguments["true_cfg_scale"] = arguments.pop("guidance_scale")
    return arguments


def _watching(
    pipeline: DiffusionPipeline, parameters: dict, partials: Partials, steps: int, after_step: Callable[..., None]
) -> dict:
    """The arguments that make the pipeline tell of its steps."""

    def preview(index: int) -> Image.Image | None:
        pixels = partials.decode(index)
        return None if pixels is None else _picture(pixels)

    def on_step_end(pipeline: DiffusionPipeline, step: int, timestep: object, tensors: dict) -> dict:
        partials.follow(tensors)
        after_step(min(step + 1, steps), steps, preview)
        return {}

    if "callback_on_step_end" not in parameters:  # PixArt's, and the oldest
        return {"callback": lambda step, timestep, latents: on_step_end(pipeline, step, timestep, {"latents": latents})}
    tensors = [name for name in ("latents", "prediction") if name in pipeline._callback_tensor_inputs]
    return {"callback_on_step_end": on_step_end, "callback_on_step_end_tensor_inputs": tensors}


def _shown(pixels: np.ndarray, flagged: bool) -> Image.Image | ApiError:
    """The picture, or why it must not pass for one."""
    if flagged:
        message = "The model's own safety checker withholds this picture: try other words or another seed."
        return ApiError(400, message, code="content_policy_violation")
    if not np.isfinite(pixels).all():
        message = "The model computed no numbers (NaN) for this picture: set HOMEGROWN_IMAGE_DTYPE=float32."
        return ApiError(500, message, code="broken_picture")
    if pixels.max() < BLACK:
        message = "The model drew nothing but black: try another seed, or set HOMEGROWN_IMAGE_DTYPE=float32."
        return ApiError(500, message, code="broken_picture")
    return _picture(pixels)


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def _unsupported(message: str, param: str) -> ApiError:
    return ApiError(400, message, param=param, code="unsupported_by_model")
