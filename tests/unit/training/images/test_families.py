"""LoRAs for every family: they learn, are saved as the pipeline's own loader takes them, and switch off."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from safetensors import safe_open

from serving.errors import UserError
from serving.images.loading import load_pipeline
from serving.images.machine import Placement
from tests.tiny_pipelines import NATIVE_SIZE
from tests.unit.training.images.subjects import GROUNDS, make_job, picture
from training.images.families import FAMILIES, Family, Pixels, StableDiffusion, family_of
from training.images.lora import LoraTraining
from training.images.subject import Photo
from training.images.words import caption_tokenizer, save_tokenizer

CPU = Placement("cpu", "float32")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def photos(family: Family) -> list[Photo]:
    """Small ones, whatever the family's size is."""
    px = min(family.size, 32)
    return [Photo(picture(ground, px), f"a sks on a {colour} background") for colour, ground in GROUNDS.items()]


def loss_of(training: LoraTraining) -> float:
    """The loss on the subject's pictures at levels of noise that are always the same."""
    with torch.no_grad():
        losses = [training.loss(random.Random(seed), torch.Generator().manual_seed(seed))[0] for seed in range(12)]
    return torch.stack(losses).mean().item()


def drawn(family: Family) -> np.ndarray:
    """What the pipeline draws for the subject's caption."""
    sides = {} if isinstance(family, Pixels) else {"height": 32, "width": 32}
    generator = torch.Generator().manual_seed(3)
    return family.pipeline("a sks", num_inference_steps=2, generator=generator, output_type="np", **sides).images[0]


@pytest.mark.parametrize("kind", NATIVE_SIZE)
def test_lora_is_learnt_saved_loaded_and_switched_off(tmp_path: Path, kind: str) -> None:
    job = make_job(tmp_path, kind, learning_rate=2e-2)
    family = family_of(load_pipeline(job.base, CPU))
    training = LoraTraining(job, family, photos(family), prior=[])
    before = loss_of(training)
    for _ in range(training.steps):
        training.take_step()
    assert loss_of(training) < before
    family.denoiser.eval()
    trained = drawn(family)
    training.publish()

    fresh = family_of(load_pipeline(job.base, CPU))
    plain = drawn(fresh)
    fresh.pipeline.load_lora_weights(str(job.lora.parent), weight_name=job.lora.name, adapter_name="sks")
    assert np.allclose(drawn(fresh), trained, atol=1e-5)
    assert not np.allclose(trained, plain, atol=1e-3)
    fresh.pipeline.set_adapters(["sks"], [0.0])
    assert np.array_equal(drawn(fresh), plain)


@pytest.mark.parametrize("kind", NATIVE_SIZE)
def test_every_projection_named_is_trained(tmp_path: Path, kind: str) -> None:
    job = make_job(tmp_path, kind)
    family = family_of(load_pipeline(job.base, CPU))
    training = LoraTraining(job, family, photos(family), prior=[])
    training.take_step()
    training.take_step()
    training.publish()
    with safe_open(job.lora, "np") as file:
        names = list(file.keys())
        unmoved = [name for name in names if "lora_B" in name and not file.get_tensor(name).any()]
    for target in family.targets:
        assert any(f".{target}.lora_A" in name for name in names), target
    # Nothing reads what the last joint layer of FLUX says about the text.
    assert [name for name in unmoved if "context" not in name and "to_add_out" not in name] == []
    assert all(parameter.grad is None for name, parameter in family.denoiser.named_parameters() if "lora" not in name)


@pytest.mark.parametrize("kind", NATIVE_SIZE)
def test_size_is_the_one_that_the_pipeline_draws(tmp_path: Path, kind: str) -> None:
    assert family_of(load_pipeline(make_job(tmp_path, kind).base, CPU)).size == NATIVE_SIZE[kind]


def test_a_perfect_prediction_has_no_loss_whatever_is_predicted(tmp_path: Path) -> None:
    family = family_of(load_pipeline(make_job(tmp_path, "StableDiffusionPipeline").base, CPU))
    assert isinstance(family, StableDiffusion)
    latents, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    times = torch.tensor([10, 900])
    for kind in ("epsilon", "v_prediction", "sample"):
        family.schedule = DDPMScheduler.from_config(
            family.pipeline.scheduler.config, prediction_type=kind, clip_sample=False
        )
        noisy = family.schedule.add_noise(latents, noise, times)
        target = family._target(latents, noise, times)
        for place, time in enumerate(times):
            found = family.schedule.step(target[place], time, noisy[place]).pred_original_sample
            assert torch.allclose(found, latents[place], atol=1e-3), kind


def test_words_that_mean_something_are_known(tmp_path: Path) -> None:
    family = family_of(load_pipeline(make_job(tmp_path).base, CPU))
    save_tokenizer(caption_tokenizer(["dog", "red"]), tmp_path / "words")
    family.pipeline.tokenizer = type(family.pipeline.tokenizer).from_pretrained(tmp_path / "words")
    assert family.knows("dog")
    assert family.knows("Red")
    assert family.knows("s")
    assert not family.knows("sks")


def test_other_pipelines_are_refused() -> None:
    class OtherPipeline:
        pass

    with pytest.raises(UserError, match="A OtherPipeline cannot be personalised.*" + next(iter(FAMILIES))):
        family_of(OtherPipeline())
