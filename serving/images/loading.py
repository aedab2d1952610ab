"""Loads the pipeline of a checked folder and says what it is made for. Imported by the worker only."""

import inspect
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from serving.images.folder import is_own, variant
from serving.images.machine import Placement
from serving.images.sizes import Size
from serving.model_folder import ModelFolderError

# Of the pipelines that do not say it, all are made for pictures of about a million pixels.
USUAL_LATENT_SIDE = 128


def load_pipeline(folder: Path, placement: Placement) -> DiffusionPipeline:
    """The text-to-image pipeline in `folder`, where `placement` says. Raises `ModelFolderError` when it is none."""
    if is_own(folder):
        import serving.images.pipeline  # noqa: F401 - makes its classes known to diffusers
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    pipeline = DiffusionPipeline.from_pretrained(
        folder,
        dtype=getattr(torch, placement.dtype),
        variant=variant(folder),
        use_safetensors=True,
        local_files_only=True,
    )
    _check_task(pipeline, folder)
    pipeline.set_progress_bar_config(disable=True)
    if isinstance(pipeline.components.get("vae"), AutoencoderKL):
        pipeline.vae.enable_slicing()  # decodes a batch one by one, which takes no longer and less memory
    return _placed(pipeline, placement)


def native_size(pipeline: DiffusionPipeline) -> Size:
    """The size in px that the model was made for."""
    default = call_parameters(pipeline).get("height")
    if default is not None and isinstance(default.default, int):
        return call_parameters(pipeline)["width"].default, default.default
    parts, settings = pipeline.components, vars(pipeline)
    denoiser = parts.get("transformer") or parts.get("unet")
    side = settings.get("default_sample_size") or denoiser.config.get("sample_size") or USUAL_LATENT_SIDE
    height, width = side if isinstance(side, list | tuple) else (side, side)
    scale = settings.get("vae_scale_factor", 1)
    return width * scale, height * scale


def call_parameters(pipeline: DiffusionPipeline) -> dict[str, inspect.Parameter]:
    """What the pipeline can be called with."""
    return dict(inspect.signature(type(pipeline).__call__).parameters)


def _check_task(pipeline: DiffusionPipeline, folder: Path) -> None:
    parameters = call_parameters(pipeline)
    # Some that need a picture to start from have None as its default, but those take their size from it.
    needs_picture = "mask_image" in parameters or ("image" in parameters and "width" not in parameters)
    if "prompt" not in parameters or (needs_picture and not is_own(folder)):
        raise ModelFolderError(
            f"The folder {folder} holds a {type(pipeline).__name__}, which does not draw pictures from text alone: "
            "choose a text-to-image model."
        )


def _placed(pipeline: DiffusionPipeline, placement: Placement) -> DiffusionPipeline:
    if placement.offload == "parts":
        pipeline.enable_model_cpu_offload()
    elif placement.offload == "layers":
        pipeline.enable_sequential_cpu_offload()
    else:
        pipeline.to(placement.device)
    return pipeline
