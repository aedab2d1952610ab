"""How pipelines of each family are trained on pictures: encode captions and pictures, add noise, and what to predict.

Our own pipeline and those of Stable Diffusion, SDXL and FLUX; one class a family.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from torch import Tensor

from serving.errors import UserError
from serving.images.loading import native_size
from serving.images.model import Caption
from training.images.section import ImagesSection

LEAST_TIME = 0.1
Condition = tuple[Tensor, ...]
"""Encoded captions; the first dimension of every tensor counts them."""


class Family(ABC):
    """A pipeline that a LoRA is trained for; the numbers are what is good for its size unless the user says else."""

    part: ClassVar[str]
    """The component that predicts."""
    targets: list[str]
    """Its attention and feed-forward projections, by the ends of their names."""
    steps: ClassVar[int]
    learning_rate: ClassVar[float]
    batch: ClassVar[int]
    """Pictures of the subject in a step."""
    checkpointing: ClassVar[bool] = True
    """Whether activations are computed again on the way back, which saves memory."""
    caption: ClassVar[str] = "a photo of {}"

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        self.pipeline = pipeline
        self.device = pipeline._execution_device

    @property
    def denoiser(self) -> torch.nn.Module:
        return getattr(self.pipeline, self.part)

    @property
    def size(self) -> int:
        """The side in px of the pictures that it is trained on."""
        return min(native_size(self.pipeline))

    @abstractmethod
    def encode(self, captions: list[str]) -> Condition:
        """What the denoiser is told."""

    @abstractmethod
    def loss(self, latents: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
        """The error of each picture (batch) at noise levels that `generator` chooses."""

    def latents(self, pictures: Tensor) -> Tensor:
        """What is denoised for `pictures` (batch, 3, size, size) in [-1, 1]; of a VAE the most likely latents."""
        vae = self.pipeline.vae
        latents = vae.encode(pictures.to(self.device, vae.dtype)).latent_dist.mode()
        return (latents.float() - (vae.config.shift_factor or 0)) * vae.config.scaling_factor

    def knows(self, word: str) -> bool:
        """Whether `word` means something already: it is one piece, and one of the more frequent half of all."""
        tokenizer = self.pipeline.tokenizer
        pieces = tokenizer(word, add_special_tokens=False).input_ids
        return len(pieces) == 1 and pieces[0] < len(tokenizer) / 2

    def _noise(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(latents.shape, generator=generator).to(latents)


class Pixels(Family):
    """Our own."""

    part = "transformer"
    steps, learning_rate, batch = 400, 2e-3, 8
    caption = "a {}"
    checkpointing = False

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        # A new outline needs what paints, too.
        slots, patches = ["outline", "colour", "radius"], ["shares", "colours", "plain"]
        painting = slots if self.denoiser.config.slots else patches
        self.targets = ["to_q", "to_k", "to_v", "to_out", "up", "down", "caption", *painting]

    def encode(self, captions: list[str]) -> Condition:
        return tuple(self.pipeline.encode(captions))

    def latents(self, pictures: Tensor) -> Tensor:
        return pictures.to(self.device)

    def knows(self, word: str) -> bool:
        return len(self.pipeline.tokenizer(word, add_special_tokens=False).input_ids) == 1

    def loss(self, latents: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
        """As the model itself was trained: how far the predicted picture is off, the more the less noise there was."""
        dials = {name: field.default for name, field in ImagesSection.model_fields.items()}
        noise = torch.randn(len(latents), generator=generator)
        chosen = torch.sigmoid(dials["noise_mean"] + dials["noise_std"] * noise)
        pure = torch.rand(len(latents), generator=generator) < dials["pure_noise"] / 2  # as much as it had on average
        times = torch.where(pure, 1.0, chosen).to(latents)
        time = times[:, None, None, None]
        noisy = (1 - time) * latents + time * self._noise(latents, generator)
        error = (self.denoiser(noisy, times, Caption(*condition)) - latents).square().mean((1, 2, 3))
        return error / times.clamp(min=LEAST_TIME) ** dials["time_power"]


class StableDiffusion(Family):
    """Stable Diffusion 1 and 2: a UNet that predicts the noise, or what its scheduler says."""

    part = "unet"
    targets: ClassVar = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
    steps, learning_rate, batch = 600, 1e-4, 1

    def __init__(self, pipeline: DiffusionPipeline) -> None:
        super().__init__(pipeline)
        self.schedule = DDPMScheduler.from_config(pipeline.scheduler.config)

    def encode(self, captions: list[str]) -> Condition:
        embeddings, _ = self.pipeline.encode_prompt(captions, self.device, 1, do_classifier_free_guidance=False)
        return (embeddings,)

    def loss(self, latents: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
        levels = self.schedule.config.num_train_timesteps
        timesteps = torch.randint(levels, (len(latents),), generator=generator).to(self.device)
        noise = self._noise(latents, generator)
        noisy = self.schedule.add_noise(latents, noise, timesteps)
        predicted = self.denoiser(noisy, timesteps, **self._told(condition)).sample
        return (predicted.float() - self._target(latents, noise, timesteps).float()).square().mean((1, 2, 3))

    def _told(self, condition: Condition) -> dict:
        return {"encoder_hidden_states": condition[0]}

    def _target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        match self.schedule.config.prediction_type:
            case "v_prediction":
                return self.schedule.get_velocity(latents, noise, timesteps)
            case "sample":
                return latents
            case _:
                return noise


class StableDiffusionXL(StableDiffusion):
    """SDXL: two text encoders, and the UNet is told sizes."""

    steps = 500

    def encode(self, captions: list[str]) -> Condition:
        embeddings, _, pooled, _ = self.pipeline.encode_prompt(
            captions, device=self.device, do_classifier_free_guidance=False
        )
        return embeddings, pooled

    def _told(self, condition: Condition) -> dict:
        embeddings, pooled = condition
        original, corner, wanted = (self.size, self.size), (0, 0), (self.size, self.size)
        sizes = torch.tensor([*original, *corner, *wanted], device=self.device, dtype=pooled.dtype)
        added = {"text_embeds": pooled, "time_ids": sizes.expand(len(pooled), -1)}
        return {"encoder_hidden_states": embeddings, "added_cond_kwargs": added}


class Flux(Family):
    """FLUX: flow matching on packed latents (2 x 2 of them are one token)."""

    part = "transformer"
    targets: ClassVar = [
        *("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"),
        *("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out"),
        *("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"),
    ]
    steps, learning_rate, batch = 500, 1e-4, 1

    def encode(self, captions: list[str]) -> Condition:
        embeddings, pooled, _ = self.pipeline.encode_prompt(captions, captions, device=self.device)
        return embeddings, pooled

    def loss(self, latents: Tensor, condition: Condition, generator: torch.Generator) -> Tensor:
        """The velocity from the picture to the noise; times are a logistic of normal ones (SD3, arXiv:2403.03206)."""
        embeddings, pooled = condition
        count, channels, height, width = latents.shape
        clean = self.pipeline._pack_latents(latents, count, channels, height, width)
        noise = self._noise(clean, generator)
        times = torch.sigmoid(torch.randn(count, generator=generator)).to(clean)
        time = times[:, None, None]
        places = self.pipeline._prepare_latent_image_ids(count, height // 2, width // 2, self.device, clean.dtype)
        predicted = self.denoiser(
            hidden_states=(1 - time) * clean + time * noise,
            timestep=times,
            guidance=torch.ones_like(times) if self.denoiser.config.guidance_embeds else None,
            pooled_projections=pooled,
            encoder_hidden_states=embeddings,
            txt_ids=torch.zeros(embeddings.shape[1], 3).to(clean),
            img_ids=places,
        ).sample
        return (predicted.float() - (noise - clean).float()).square().mean((1, 2))


FAMILIES: dict[str, type[Family]] = {
    "PixelPipeline": Pixels,
    "StableDiffusionPipeline": StableDiffusion,
    "StableDiffusionXLPipeline": StableDiffusionXL,
    "FluxPipeline": Flux,
}


def family_of(pipeline: DiffusionPipeline) -> Family:
    """What trains `pipeline`. Raises `UserError` when nothing here does."""
    name = type(pipeline).__name__
    if name not in FAMILIES:
        raise UserError(f"A {name} cannot be personalised: choose one of the models {', '.join(FAMILIES)}.")
    return FAMILIES[name](pipeline)
