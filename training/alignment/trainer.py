"""What the rank modules of alignment share: the mixin before TRL's trainers, their arguments, examples and ends."""

import json
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, Trainer, set_seed

from training import attention
from training.adapters import Load, finished, keep_precise
from training.checkpoints import write_whole
from training.job import Job, Result
from training.packed import save_model
from training.trainer import StagedTraining, is_first_rank, leave_together, silence, training_arguments

OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_bnb_8bit"}


class AlignedTraining(StagedTraining):
    """The mixin: AdamW of the section's kind instead of Muon, whose steps are too large where little may change."""

    def __init__(self, job: Job, **arguments) -> None:
        self.job = job
        super().__init__(**arguments)
        keep_precise(self.model)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        return Trainer.create_optimizer(self, model)


def arguments(job: Job) -> dict:
    """Arguments of TRL's configs for preferences."""
    section = job.section
    return training_arguments(job) | {
        "optim": OPTIMIZERS[section.optimizer],
        "weight_decay": section.weight_decay,
        "disable_dropout": True,
    }


def begin(path: Path) -> tuple[Job, PreTrainedTokenizerBase]:
    """The job at `path`, and the tokenizer that its examples were written with, which has something to pad by."""
    silence()
    job = Job.read(path)
    set_seed(job.recipe.seed)  # new weights are drawn before the trainer sets it
    tokenizer = AutoTokenizer.from_pretrained(job.tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return job, tokenizer


def examples(job: Job, part: str, *columns: str) -> Dataset:
    """The `training` or `held_out` examples of a job with these of their columns."""
    with (job.data / f"{part}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return Dataset.from_dict({column: [row[column] for row in rows] for column in columns})


def make_fast(model: PreTrainedModel, job: Job) -> PreTrainedModel:
    """Choose how the model attends here; nothing of it is saved with it."""
    if job.layout.device == "cpu":
        attention.register()
        model.set_attn_implementation(attention.NAME)
    return model


def finish(job: Job, trainer: Trainer, result: Result, load: Load) -> None:
    """Save what the stage leaves (see `finished`), and then the result: its file says that the stage is done."""
    if is_first_rank():
        if not job.measuring:
            save_model(finished(trainer.accelerator.unwrap_model(trainer.model), job, load), job)
        write_whole(job.result, result.model_dump_json())
    leave_together()


def first_sentence(error: Exception) -> str:
    """What a library had to say, short enough for a sentence of ours."""
    return str(error).splitlines()[0].rstrip(".")
