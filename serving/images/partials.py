"""What a picture will look like, guessed cheaply in the middle of its drawing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from diffusers import DiffusionPipeline

# Latents are shrunk to this many a side before they are decoded: decoding costs as much as some steps of drawing.
LATENT_SIDE = 32


class Partials:
    """Follows one batch of `pipeline`, which draws at `size` (width, height) px."""

    def __init__(self, pipeline: "DiffusionPipeline", size: tuple[int, int]) -> None:
        self._pipeline, self._size = pipeline, size
        self._before: torch.Tensor | None = None
        self._now: torch.Tensor | None = None
        self._drawn: torch.Tensor | None = None

    def follow(self, tensors: dict[str, "torch.Tensor"]) -> None:
        """Remember what a step left: "latents" and, where the pipeline tells it, its "prediction" of the picture."""
        self._before, self._now = self._now, tensors["latents"]
        self._drawn = tensors.get("prediction")

    def decode(self, index: int) -> "np.ndarray | None":
        """Picture `index` of the batch (height, width, 3) of 0 to 1; None where the latents are not understood."""
        from diffusers import AutoencoderKL, AutoencoderTiny
        from torch.nn import functional

        if self._drawn is not None:
            return _pixels(self._drawn[index])
        vae = self._pipeline.components.get("vae")
        latents = self._spatial(self._clean(index))
        if latents.ndim != 4 or not isinstance(vae, AutoencoderKL | AutoencoderTiny):
            return None
        shrunk = [min(side, LATENT_SIDE) for side in latents.shape[2:]]
        latents = functional.adaptive_avg_pool2d(latents, shrunk) / vae.config.scaling_factor
        latents = (latents + (vae.config.get("shift_factor") or 0)).to(vae.dtype)
        return _pixels(vae.decode(latents, return_dict=False)[0][0])

    def _clean(self, index: int) -> "torch.Tensor":
        """The latents (1, ...) where the line through the last two steps ends: without noise, for Euler's steps."""
        from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

        now, scheduler = self._now[index : index + 1], self._pipeline.scheduler
        if self._before is None or not isinstance(scheduler, EulerDiscreteScheduler | FlowMatchEulerDiscreteScheduler):
            return now
        earlier, later = scheduler.sigmas[scheduler.step_index - 1], scheduler.sigmas[scheduler.step_index]
        slope = (now - self._before[index : index + 1]) / (later - earlier)
        return now - later * slope

    def _spatial(self, latents: "torch.Tensor") -> "torch.Tensor":
        """FLUX keeps its latents in rows of patches."""
        from diffusers import FluxImg2ImgPipeline, FluxInpaintPipeline, FluxPipeline

        pipeline = self._pipeline
        if not isinstance(pipeline, FluxPipeline | FluxImg2ImgPipeline | FluxInpaintPipeline):
            return latents
        width, height = self._size
        return pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)


def _pixels(picture: "torch.Tensor") -> "np.ndarray":
    return (picture.float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
