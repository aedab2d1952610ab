"""The stage `images`: a text-to-image model grown from nothing by flow matching, with transformers' Trainer."""

from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments

from serving.images.model import CaptionEncoder, PixelTransformer
from serving.images.pipeline import PixelPipeline
from serving.images.slots import Painted
from training.checkpoints import write_whole
from training.images.average import Average
from training.images.examples import UNKNOWN, Collate, Examples
from training.images.section import ImagesSection
from training.images.sources import open_pictures
from training.images.watching import Watching
from training.job import Job
from training.optimizers import POLAR_EXPRESS, build_optimizer
from training.trainer import StagedTraining, is_first_rank, leave_together, run, training_arguments

LEAST_TIME = 0.1


class Denoiser(nn.Module):
    """Caption encoder and transformer as one module, trained together."""

    def __init__(self, text_encoder: CaptionEncoder, transformer: PixelTransformer) -> None:
        super().__init__()
        self.text_encoder, self.transformer = text_encoder, transformer

    def forward(self, ids: Tensor, noisy: Tensor, time: Tensor, known: Tensor) -> Painted:
        """The clean picture that `noisy` (batch, 3, size, size) at `time` (batch) comes from, as `ids` describe it.

        The things of slots stand where that is `known`.
        """
        return self.transformer.predict(noisy, time, self.text_encoder(ids), known)


def denoising_loss(model: nn.Module, batch: dict[str, Tensor], section: ImagesSection) -> Tensor:
    """How far the predicted pictures are from the clean ones, divided by a power of the time.

    Its square makes it the loss in the velocity of flow matching; below `LEAST_TIME` that would blow up. Added is how
    unlikely slots find the places where their things stand, and what these cover.
    """
    time = batch["time"][:, None, None, None]
    noisy = (1 - time) * batch["clean"] + time * batch["noise"]
    painted = model(batch["ids"], noisy, batch["time"], batch["places"])
    error = (painted.picture - batch["clean"]).square().mean(1) * batch["weight"]
    loss = (error.mean((1, 2)) / batch["time"].clamp(min=LEAST_TIME) ** section.time_power).mean()
    if painted.places is None:
        return loss
    misplaced, miscovered = slot_losses(painted, batch["places"], batch["covered"])
    return loss + section.place_weight * misplaced + section.outline_weight * miscovered


def slot_losses(painted: Painted, places: Tensor, covered: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of `places` for each of them that is known, and of what is `covered` for each covered pixel."""
    known = places != UNKNOWN
    misplaced = functional.cross_entropy(painted.places[known], places[known], reduction="sum")
    share = painted.covered[known].clamp(1e-4, 1 - 1e-4)
    miscovered = -(covered[known] * share.log() + (1 - covered[known]) * (1 - share).log()).sum()
    return misplaced / known.sum().clamp(min=1), miscovered / covered.sum().clamp(min=1)


class ImageTrainer(StagedTraining, Trainer):
    """`Trainer` for a `Denoiser`, with an average of its weights."""

    def __init__(self, job: Job, average: Average, **arguments) -> None:
        self.job, self.average, self.watching = job, average, None
        super().__init__(**arguments)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        self.optimizer = build_optimizer(self.model, self.job.section, POLAR_EXPRESS)
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None) -> Tensor:
        return denoising_loss(model, inputs, self.job.section)

    def add_to_checkpoint(self, checkpoint: Path) -> None:
        self.average.save(checkpoint)
        if self.watching:
            self.watching.publish(self.state.global_step, self.progress)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.average.load(Path(resume_from_checkpoint))


class Averaging(TrainerCallback):
    """Takes every step into the average."""

    def __init__(self, average: Average) -> None:
        self.average = average

    def on_train_begin(self, args, state, control, **_) -> None:
        self.average.follow()

    def on_step_end(self, args, state, control, **_) -> None:
        self.average.update(state.global_step)


def build_denoiser(section: ImagesSection, vocabulary: int) -> Denoiser:
    """A new model of the size that the section says."""
    return Denoiser(
        CaptionEncoder(vocabulary, dim=section.dim, depth=section.caption_depth, heads=section.heads),
        PixelTransformer(
            section.size, section.patch, section.dim, section.depth, section.heads, section.palette, section.slots
        ),
    )


def build_pipeline(model: Denoiser, section: ImagesSection, tokenizer: Path) -> PixelPipeline:
    """The model as a diffusers pipeline; it shares the weights."""
    pipeline = PixelPipeline(
        PreTrainedTokenizerFast.from_pretrained(tokenizer),
        model.text_encoder,
        model.transformer,
        FlowMatchEulerDiscreteScheduler(shift=section.shift),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job = Job.read(path)
    section: ImagesSection = job.section
    arguments = TrainingArguments(**training_arguments(job))
    tokenizer = Tokenizer.from_file(str(job.tokenizer / "tokenizer.json"))
    torch.manual_seed(job.recipe.seed)
    model = build_denoiser(section, tokenizer.get_vocab_size())
    if job.compiled:
        for layer in model.transformer.layers:  # alike, so one of them is compiled and the others reuse it
            layer.compile(dynamic=False)
    sources = [open_pictures(source, section.size) for source in section.sources]
    average = Average(model, section.average)
    trainer = ImageTrainer(
        job,
        average,
        model=model,
        args=arguments,
        train_dataset=Examples(section, sources, job.recipe.seed, job.steps * section.batch, "training"),
        data_collator=Collate(tokenizer),
        callbacks=[Averaging(average)],
    )
    if is_first_rank() and not job.measuring:
        trainer.watching = Watching(job, average, build_pipeline(model, section, job.tokenizer), sources)
        trainer.add_callback(trainer.watching)
    result = run(trainer, job)
    if is_first_rank():
        if not job.measuring:
            result.metrics |= trainer.watching.finish(trainer.progress)
        write_whole(job.result, result.model_dump_json())
    leave_together()
