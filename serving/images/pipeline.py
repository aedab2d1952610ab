"""The diffusers pipeline of our own image model; importing this module makes diffusers know its classes.

Flow matching (Lipman et al. 2023, arXiv:2210.02747): a picture and noise are mixed linearly, and Euler steps lead from
noise back to the picture that the transformer predicts at each step. What it predicts at pure noise is the mean of all
pictures that the caption can mean, and a small model stays too near to it: each prediction goes on, by `variety`, in
the direction that leads away from there, as guidance does from a caption.
"""

from collections.abc import Callable

import diffusers
import PIL.Image
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, ImagePipelineOutput
from diffusers.image_processor import VaeImageProcessor
from diffusers.loaders import AuraFlowLoraLoaderMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from serving.images.model import Caption, CaptionEncoder, PixelTransformer

STEPS = 8
NO_GUIDANCE, NEGATIVE_GUIDANCE = 1.0, 1.25
VARIETY, VARIETY_OF_SLOTS = 0.35, 0.2
# Predictions may leave the range of colours a little, so that guidance can reach pure white and black.
BOUND = 1.1


class PixelPipeline(DiffusionPipeline, AuraFlowLoraLoaderMixin):
    """A picture from a caption; with `image` from that picture, with `mask_image` only where it is white.

    The LoRA loader is AuraFlow's, which serves every pipeline whose denoiser is called `transformer`.
    """

    model_cpu_offload_seq = "text_encoder->transformer"
    _callback_tensor_inputs = ("latents", "prediction")

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        text_encoder: CaptionEncoder,
        transformer: PixelTransformer,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer, text_encoder=text_encoder, transformer=transformer, scheduler=scheduler
        )
        self.image_processor = VaeImageProcessor(vae_scale_factor=transformer.config.patch_size)
        self.mask_processor = VaeImageProcessor(
            vae_scale_factor=transformer.config.patch_size,
            do_normalize=False,
            do_binarize=True,
            do_convert_grayscale=True,
        )
        self._interrupt = False

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str],
        negative_prompt: str | list[str] = "",
        num_inference_steps: int = STEPS,
        guidance_scale: float | None = None,
        variety: float | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        image: PIL.Image.Image | list[PIL.Image.Image] | None = None,
        mask_image: PIL.Image.Image | list[PIL.Image.Image] | None = None,
        strength: float = 0.8,
        num_images_per_prompt: int = 1,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[["PixelPipeline", int, Tensor, dict], dict] | None = None,
        callback_on_step_end_tensor_inputs: tuple[str, ...] = ("latents",),
    ) -> ImagePipelineOutput | tuple:
        """Draw `num_images_per_prompt` pictures for each prompt. `output_type`: "pil", "np" (0 to 1) or "pt".

        Without a `guidance_scale` there is none, unless something is unwanted: that takes twice the time.
        The callback may set `_interrupt`, which ends the drawing with what there is.
        """
        prompts = _listed(prompt, num_images_per_prompt)
        unwanted = [negative_prompt] * len(prompts)
        if not isinstance(negative_prompt, str):
            unwanted = _listed(negative_prompt, num_images_per_prompt)
        if guidance_scale is None:
            guidance_scale = NEGATIVE_GUIDANCE if any(unwanted) else NO_GUIDANCE
        caption = self.encode(prompts if guidance_scale == NO_GUIDANCE else prompts + unwanted)
        if variety is None:
            variety = VARIETY_OF_SLOTS if self.transformer.config.slots else VARIETY
        self._interrupt = False
        sigmas = torch.linspace(1, 1 / num_inference_steps, num_inference_steps).tolist()
        self.scheduler.set_timesteps(sigmas=sigmas, device=self._execution_device)
        shape = (len(prompts), 3, *[self.transformer.config.sample_size] * 2)
        noise = randn_tensor(shape, generator=generator, device=self._execution_device)
        start, first = self._begin_from(image, strength, len(prompts))
        latents = noise if start is None else self._mixed(start, noise, first)
        mask = None if mask_image is None else self._masked(mask_image, len(prompts))
        timesteps, mean = self.scheduler.timesteps[first:], None
        self.scheduler.set_begin_index(first)
        with self.progress_bar(total=len(timesteps)) as bar:
            for step, timestep in enumerate(timesteps):
                sigma = timestep / self.scheduler.config.num_train_timesteps
                prediction = self._predict(latents, sigma, caption, guidance_scale)
                if start is None:
                    mean = prediction if mean is None else mean
                    prediction = (prediction + variety * (prediction - mean)).clamp(-BOUND, BOUND)
                latents = self.scheduler.step((latents - prediction) / sigma, timestep, latents, return_dict=False)[0]
                if mask is not None:
                    latents = torch.where(mask, latents, self._mixed(start, noise, first + step + 1))
                if callback_on_step_end is not None:
                    given = {"latents": latents, "prediction": prediction}
                    chosen = {name: given[name] for name in callback_on_step_end_tensor_inputs}
                    latents = callback_on_step_end(self, step, timestep, chosen).get("latents", latents)
                bar.update()
                if self._interrupt:
                    break
        pictures = self.image_processor.postprocess(latents.clamp(-1, 1), output_type=output_type)
        self.maybe_free_model_hooks()
        return ImagePipelineOutput(images=pictures) if return_dict else (pictures,)

    @property
    def interrupt(self) -> bool:
        """Whether the drawing ends after this step."""
        return self._interrupt

    def encode(self, captions: list[str]) -> Caption:
        """Captions as the transformer reads them."""
        ids = self.tokenizer(captions, padding=True, truncation=True, return_tensors="pt").input_ids
        return self.text_encoder(ids.to(self._execution_device))

    def _predict(self, latents: Tensor, sigma: Tensor, caption: Caption, guidance: float) -> Tensor:
        """The clean picture as it looks from here, guided away from the negative caption (arXiv:2207.12598)."""
        times = sigma.expand(len(caption.pooled))
        if guidance == NO_GUIDANCE:
            return self.transformer(latents, times, caption).clamp(-BOUND, BOUND)
        wanted, unwanted = self.transformer(torch.cat([latents, latents]), times, caption).chunk(2)
        return (unwanted + guidance * (wanted - unwanted)).clamp(-BOUND, BOUND)

    def _begin_from(self, image, strength: float, count: int) -> tuple[Tensor | None, int]:
        """The picture to start from, None for noise alone, and the step to start at."""
        if image is None:
            return None, 0
        size = self.transformer.config.sample_size
        start = self.image_processor.preprocess(image, height=size, width=size).to(self._execution_device)
        steps = len(self.scheduler.timesteps)
        return start.expand(count, -1, -1, -1), min(steps - 1, round(steps * (1 - strength)))

    def _mixed(self, picture: Tensor, noise: Tensor, step: int) -> Tensor:
        sigma = self.scheduler.sigmas[step]
        return (1 - sigma) * picture + sigma * noise

    def _masked(self, mask, count: int) -> Tensor:
        """True where the picture is drawn anew."""
        size = self.transformer.config.sample_size
        drawn = self.mask_processor.preprocess(mask, height=size, width=size).to(self._execution_device)
        return (drawn > 0.5).expand(count, -1, -1, -1)


def _listed(texts: str | list[str], times: int) -> list[str]:
    return [text for text in ([texts] if isinstance(texts, str) else texts) for _ in range(times)]


# `DiffusionPipeline.from_pretrained` looks for the classes of a folder among diffusers' own.
for _known in (PixelPipeline, PixelTransformer, CaptionEncoder):
    setattr(diffusers, _known.__name__, _known)
