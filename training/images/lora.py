"""The rank that trains a LoRA: on pictures of a subject, and on pictures of what must stay as it is.

Every step is a function of the seed and its number alone, so a run that was killed ends with the very same weights.
"""

import json
import math
import random
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import cast_training_params
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

from serving.errors import UserError
from serving.images.folder import parameter_counts
from serving.images.loading import load_pipeline
from serving.images.machine import ImageMachine, place
from training.checkpoints import latest_whole, mark_whole, seconds_so_far, step_of, write_whole
from training.hardware import autocasts
from training.images.families import Family, family_of
from training.images.personalise import Personalised, PersonalJob
from training.images.prior import prior_captions, prior_photos
from training.images.sheet import sample_sheet, save_picture
from training.images.subject import Photo, named, read_subject
from training.optimizers import warmup_stable_decay
from training.progress import LiveLine, clock

CHECKPOINTS = 5
PRIOR_WEIGHT = 1.0
WARMUP_STEPS, DECAY = 10, 0.4
SHOWN = 3


class LoraTraining:
    """The LoRA of one job while it is trained."""

    def __init__(self, job: PersonalJob, family: Family, subject: list[Photo], prior: list[Photo]) -> None:
        self.job, self.family, self.wish = job, family, job.wish
        self.steps = job.wish.steps or family.steps
        self.learning_rate = job.wish.learning_rate or family.learning_rate
        self.of_subject, photos = len(subject), subject + prior
        pixels = torch.from_numpy(np.stack([photo.picture for photo in photos])).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            self.latents = torch.cat([family.latents(one) for one in pixels.split(1)])
            self.condition = family.encode([photo.caption for photo in photos])
        self.shown = self._shown(prior)
        self.parameters = self._add_lora()
        self.optimizer = torch.optim.AdamW(self.parameters, lr=self.learning_rate, weight_decay=0.01)
        self.rate = warmup_stable_decay(self.steps, WARMUP_STEPS, DECAY)
        self.losses: list[float] = []
        self.step, self.seconds_before, self.began = 0, 0.0, time.monotonic()

    def run(self) -> Personalised:
        """Train from the last whole checkpoint to the end."""
        self._go_on()
        samples_every = self.wish.samples_every or math.ceil(self.steps / 4)
        checkpoint_every = math.ceil(self.steps / CHECKPOINTS)
        with LiveLine(sys.stdout) as line:
            while self.step < self.steps:
                self.take_step()
                line.show(self._progress())
                if self.step % samples_every == 0 or self.step == self.steps:
                    self.show()
                if self.step % checkpoint_every == 0 and self.step < self.steps:
                    self.save_checkpoint()
        tenth = math.ceil(self.steps / 10)
        losses = statistics.mean(self.losses[:tenth]), statistics.mean(self.losses[-tenth:])
        return Personalised(losses=losses, seconds=self.seconds())

    def take_step(self) -> None:
        rng = random.Random(f"{self.wish.seed} {self.step}")
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * self.rate(self.step)
        device = self.job.layout.device
        with torch.autocast(device, torch.bfloat16, enabled=autocasts(device)):
            loss, prior_loss = self.loss(rng, generator)
        (loss + PRIOR_WEIGHT * prior_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.losses.append(loss.item())
        if not math.isfinite(self.losses[-1]):
            raise UserError(f"The loss is {self.losses[-1]} at step {self.step}: lower --learning-rate.")

    def loss(self, rng: random.Random, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Of some pictures of the subject, chosen by lot, and of as many of what must stay."""
        count = self.family.batch
        chosen = rng.choices(range(self.of_subject), k=count)
        if len(self.latents) > self.of_subject:
            chosen += rng.choices(range(self.of_subject, len(self.latents)), k=count)
        errors = self.family.loss(self.latents[chosen], tuple(part[chosen] for part in self.condition), generator)
        return errors[:count].mean(), errors[count:].sum() / count

    def weights(self) -> dict[str, Tensor]:
        return get_peft_model_state_dict(self.family.denoiser)

    def save_checkpoint(self) -> None:
        folder = self.job.folder / "checkpoints" / f"checkpoint-{self.step}"
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.weights(), folder / "lora.safetensors")
        torch.save(self.optimizer.state_dict(), folder / "optimizer.pt")
        write_whole(folder / "losses.json", json.dumps(self.losses))
        mark_whole(folder, self.seconds())

    def show(self) -> None:
        """Write the sample sheet."""
        generators = [torch.Generator().manual_seed(seed) for seed in range(len(self.shown))]
        self.family.denoiser.eval()
        pictures = [
            self.family.pipeline(caption, generator=generator).images[0]
            for caption, generator in zip(self.shown, generators, strict=True)
        ]
        self.family.denoiser.train()
        sheet = sample_sheet(pictures, self.shown, columns=SHOWN)
        save_picture(sheet, self.job.folder / "samples" / f"step-{self.step:06}.png")

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def publish(self) -> None:
        """Write the LoRA file, which is there whole or not at all."""
        unfinished = self.job.folder / "lora.safetensors"
        self.family.pipeline.save_lora_weights(
            unfinished.parent,
            weight_name=unfinished.name,
            save_function=lambda weights, file: save_file(weights, file, metadata=self._metadata()),
            **{f"{self.family.part}_lora_layers": self.weights()},
        )
        self.job.lora.parent.mkdir(parents=True, exist_ok=True)
        unfinished.replace(self.job.lora)

    def _add_lora(self) -> list[torch.nn.Parameter]:
        denoiser = self.family.denoiser
        for part in self.family.pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False)
        torch.manual_seed(self.wish.seed)
        denoiser.add_adapter(
            LoraConfig(r=self.wish.rank, lora_alpha=self.wish.rank, target_modules=self.family.targets)
        )
        cast_training_params(denoiser)
        denoiser.train()
        if self.family.checkpointing:
            denoiser.enable_gradient_checkpointing()
        return [parameter for parameter in denoiser.parameters() if parameter.requires_grad]

    def _go_on(self) -> None:
        checkpoint = latest_whole(self.job.folder / "checkpoints")
        if checkpoint is None:
            return
        set_peft_model_state_dict(self.family.denoiser, load_file(checkpoint / "lora.safetensors"))
        self.optimizer.load_state_dict(torch.load(checkpoint / "optimizer.pt", weights_only=True))
        self.losses = json.loads((checkpoint / "losses.json").read_text(encoding="utf-8"))
        self.step, self.seconds_before = step_of(checkpoint), seconds_so_far(checkpoint)

    def _shown(self, prior: list[Photo]) -> list[str]:
        """Captions for the sample sheets: the subject alone and on grounds, then what must stay."""
        subject = self.family.caption.format(named(self.wish.token, self.wish.class_name))
        scenes = [subject, *(f"{subject} on a {colour} background" for colour in ("yellow", "blue"))]
        return scenes + [photo.caption for photo in prior[:SHOWN]]

    def _progress(self) -> str:
        left = (self.steps - self.step) * self.seconds() / self.step
        return f"personalise  step {self.step:,}/{self.steps:,}  loss {self.losses[-1]:.3f}  {clock(left)} left"

    def _metadata(self) -> dict[str, str]:
        """As the LoRA file says where it comes from; the keys with `modelspec` are those that other programs show."""
        own = {
            "base": self.job.base.name,
            "base_sha256": self.job.base_sha256,
            "token": self.wish.token,
            "class": self.wish.class_name,
            "rank": self.wish.rank,
            "steps": self.steps,
            "seed": self.wish.seed,
        }
        date = datetime.now(UTC).isoformat(timespec="seconds")
        return {
            "format": "pt",
            "homegrown": json.dumps(own | {"date": date}),
            "modelspec.title": self.job.lora.stem,
            "modelspec.trigger_phrase": named(self.wish.token, self.wish.class_name),
            "modelspec.date": date,
        }


def _loaded(base: Path) -> Family:
    machine = ImageMachine.here()
    placement = place(parameter_counts(base), machine, None if machine.bf16 else "float32")
    if placement.offload != "none":
        raise UserError(f"The model {base.name} is too large to be trained on this GPU: take a smaller one.")
    return family_of(load_pipeline(base, placement))


def main(path: Path) -> None:
    """Train the LoRA that the job at `path` describes."""
    job = PersonalJob.model_validate_json(path.read_bytes())
    wish = job.wish
    family = _loaded(job.base)
    if family.knows(wish.token):
        raise UserError(f"The model has a meaning for {wish.token!r} already, which would be lost: take another token.")
    named_so = family.caption.format(named(wish.token, wish.class_name))
    subject = read_subject(wish.subject, family.size, wish.token, wish.class_name, otherwise=named_so)
    captions = prior_captions(job.base, wish.class_name, family.caption, wish.prior, wish.seed)
    prior = prior_photos(family.pipeline, captions, job.folder / "prior", family.size, wish.seed) if captions else []
    training = LoraTraining(job, family, subject, prior)
    result = training.run()
    training.publish()
    write_whole(job.result, result.model_dump_json())
