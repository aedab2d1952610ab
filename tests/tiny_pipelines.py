"""Diffusers pipeline folders small enough for tests: the real classes with random weights and tokenizers of characters.

Importing diffusers takes seconds, so that and all else happens inside the functions. A picture of 64 px takes
milliseconds a step.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTokenizer, PreTrainedTokenizerFast, T5Tokenizer

TEXT_WIDTH = 16
CAPTION_LETTERS = 48
# Sides in px; PixelPipeline is our own, which paints by patches or by slots.
NATIVE_SIZE = {
    "StableDiffusionPipeline": 64,
    "StableDiffusionXLPipeline": 64,
    "FluxPipeline": 256,
    "PixelPipeline": 16,
    "PixelPipeline-slots": 16,
}


def write_tiny_pipeline(folder: Path, kind: str = "StableDiffusionPipeline", seed: int = 0) -> Path:
    """A random text-to-image pipeline of the kind `kind` (one of `NATIVE_SIZE`), saved in `folder`."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = MAKERS[kind]()
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                _let_prompts_matter(part)
    pipeline.save_pretrained(folder)
    return folder


def write_tiny_lora(pipeline_folder: Path, file: Path, seed: int = 0) -> Path:
    """A random LoRA for the denoiser of the pipeline in `pipeline_folder`, saved as `file` (.safetensors)."""
    import torch
    from diffusers import DiffusionPipeline
    from peft import LoraConfig, get_peft_model_state_dict

    if (pipeline_folder / "model_index.json").read_text().count("PixelPipeline"):
        import serving.images.pipeline  # noqa: F401 - makes diffusers know the class
    pipeline = DiffusionPipeline.from_pretrained(pipeline_folder)
    part = "transformer" if "transformer" in pipeline.components else "unet"
    denoiser = pipeline.components[part]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        denoiser.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    pipeline.save_lora_weights(
        file.parent, weight_name=file.name, **{f"{part}_lora_layers": get_peft_model_state_dict(denoiser)}
    )
    return file


def _let_prompts_matter(part: object) -> None:
    """Wake what starts at zero, and make text loud: else every prompt would give the same picture."""
    import torch

    for name, weight in part.named_parameters():
        if weight.ndim > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.05)
        if "attn2.to_v" in name or "context_embedder" in name:
            weight.data.mul_(4)


def _stable_diffusion() -> "DiffusionPipeline":
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextModel

    tokenizer = _clip_tokenizer()
    return StableDiffusionPipeline(
        vae=_vae(latent_channels=4),
        text_encoder=CLIPTextModel(_clip_config(tokenizer)),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=TEXT_WIDTH),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _stable_diffusion_xl() -> "DiffusionPipeline":
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = _clip_tokenizer()
    return StableDiffusionXLPipeline(
        vae=_vae(latent_channels=4),
        text_encoder=CLIPTextModel(_clip_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_clip_config(tokenizer)),
        tokenizer=tokenizer,
        tokenizer_2=_clip_tokenizer(),
        unet=_unet(
            cross_attention_dim=2 * TEXT_WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            # The pooled text and six numbers of eight dimensions each: original size, crop, target size.
            projection_class_embeddings_input_dim=TEXT_WIDTH + 6 * 8,
        ),
        scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"),
        add_watermarker=False,
    )


def _flux() -> "DiffusionPipeline":
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    tokenizer, tokenizer_2 = _clip_tokenizer(), _t5_tokenizer()
    t5 = T5Config(
        vocab_size=len(tokenizer_2), d_model=TEXT_WIDTH, d_kv=8, d_ff=2 * TEXT_WIDTH, num_layers=1, num_heads=2
    )
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        axes_dims_rope=(4, 4, 8),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae(latent_channels=4),
        text_encoder=CLIPTextModel(_clip_config(tokenizer)),
        tokenizer=tokenizer,
        text_encoder_2=T5EncoderModel(t5),
        tokenizer_2=tokenizer_2,
        transformer=transformer,
    )


def _pixels(slots: int = 0) -> "DiffusionPipeline":
    from diffusers import FlowMatchEulerDiscreteScheduler

    from serving.images.model import CaptionEncoder, PixelTransformer
    from serving.images.pipeline import PixelPipeline

    tokenizer = _letter_tokenizer()
    return PixelPipeline(
        tokenizer=tokenizer,
        text_encoder=CaptionEncoder(vocab_size=len(tokenizer), dim=TEXT_WIDTH, heads=2),
        transformer=PixelTransformer(sample_size=16, patch_size=4, dim=TEXT_WIDTH, depth=2, heads=2, slots=slots),
        scheduler=FlowMatchEulerDiscreteScheduler(),
    )


MAKERS: dict[str, Callable[[], "DiffusionPipeline"]] = {
    "StableDiffusionPipeline": _stable_diffusion,
    "StableDiffusionXLPipeline": _stable_diffusion_xl,
    "FluxPipeline": _flux,
    "PixelPipeline": _pixels,
    "PixelPipeline-slots": partial(_pixels, slots=2),
}


def _vae(latent_channels: int) -> "AutoencoderKL":
    """Two pixels to a latent, eight in the real ones."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.5,
        shift_factor=0.1,
    )


def _unet(**settings: object) -> "UNet2DConditionModel":
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
        norm_num_groups=4,
        **settings,
    )


def _clip_config(tokenizer: "CLIPTokenizer") -> "CLIPTextConfig":
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        intermediate_size=2 * TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _clip_tokenizer() -> "CLIPTokenizer":
    """One token per byte, with CLIP's mark for the last one of a word."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: place for place, token in enumerate(tokens)}, merges=[], model_max_length=77)


def _t5_tokenizer() -> "T5Tokenizer":
    """One token per printable character of ASCII."""
    from transformers import T5Tokenizer

    tokens = ["<pad>", "</s>", "<unk>", "▁", *(chr(code) for code in range(33, 127))]
    return T5Tokenizer(vocab=[(token, -float(place > 2)) for place, token in enumerate(tokens)], extra_ids=0)


def _letter_tokenizer() -> "PreTrainedTokenizerFast":
    """One token per printable character of ASCII, and an end, so that no caption is empty; padding is 0."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = ["<pad>", "<unk>", "</s>", *(chr(code) for code in range(32, 127))]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", model_max_length=CAPTION_LETTERS
    )
