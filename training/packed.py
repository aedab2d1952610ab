"""Training on packed rows of tokens: what pretraining and fine-tuning share beyond every stage."""

import shutil

import torch
from torch.utils.data import Dataset
from transformers import AutoTokenizer, PreTrainedModel, Trainer
from transformers.modeling_layers import GradientCheckpointingLayer

from training import attention
from training.batches import document_mask
from training.checkpoints import write_whole
from training.hardware import autocasts
from training.job import Job, Result
from training.model import flops_per_token, skip_uncounted_logits
from training.tokens import PackedRows
from training.trainer import StagedTraining, is_first_rank, leave_together, run
from training.validation import bits_per_byte


class PackedTraining(StagedTraining):
    """The mixin for rows in which documents lie one behind the other."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        segments = inputs.pop("segments")
        inputs["attention_mask"] = document_mask(segments, torch.bfloat16 if self.args.bf16 else torch.float32)
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


class RowNumbers(Dataset):
    """The rows of a stage as a dataset for the Trainer."""

    def __init__(self, rows: PackedRows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int):
        return self.rows[index]


def prepare(model: torch.nn.Module, job: Job) -> None:
    """Make a model fast to train here; nothing of it is saved with the model."""
    if job.layout.device == "cpu":
        attention.register()
        model.set_attn_implementation(attention.NAME)
    skip_uncounted_logits(model, job.compiled)
    if job.compiled:
        for layer in model.modules():
            if isinstance(layer, GradientCheckpointingLayer):  # alike, so one is compiled and the others reuse it
                layer.compile(dynamic=False)


def train(trainer: Trainer, job: Job) -> Result:
    """Train from the last whole checkpoint, or from the start; returns what is known about it afterwards."""
    is_whole = all(parameter.requires_grad for parameter in trainer.model.parameters())
    return run(trainer, job, flops_per_token(trainer.model, job.section.row) if is_whole else 0.0)


def finish(job: Job, model: PreTrainedModel, result: Result) -> None:
    """Validate, save the model and then the result; the result's file says that the stage is done."""
    held_out = job.data / "validation"
    if not job.measuring and held_out.is_dir() and len(rows := PackedRows(held_out, seed=0)):
        result.metrics["validation_bits_per_byte"] = bits_per_byte(
            model, rows, job.tokenizer, job.rows_per_process, autocasts(job.layout.device)
        )
    if is_first_rank():
        if not job.measuring:
            save_model(model, job)
        write_whole(job.result, result.model_dump_json())
    leave_together()


def save_model(model: PreTrainedModel, job: Job) -> None:
    """Write the model and its tokenizer as a Hugging Face folder `model/`, at once."""
    folder = job.folder / "model.part"
    model.config.use_cache = True
    model.to(getattr(torch, job.saved_as)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(job.tokenizer).save_pretrained(folder)
    shutil.rmtree(job.folder / "model", ignore_errors=True)
    folder.rename(job.folder / "model")
