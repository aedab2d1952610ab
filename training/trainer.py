"""What pretraining and fine-tuning share: our parts for transformers' Trainer."""

import math
import os
import shutil
import sys
import time
import warnings
from pathlib import Path

import datasets
import torch
import torch.distributed as dist
from torch.utils.data import Dataset
from transformers import AutoTokenizer, PreTrainedModel, PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import logging

from serving.errors import UserError
from training import attention
from training.batches import document_mask
from training.checkpoints import latest_whole, mark_whole, seconds_so_far, write_whole
from training.hardware import autocasts, peak_flops
from training.job import Job, Result
from training.model import flops_per_token, skip_uncounted_logits
from training.optimizers import build_optimizer, warmup_stable_decay
from training.progress import LiveLine, amount, clock
from training.tokens import PackedRows
from training.validation import bits_per_byte

MEASURED_STEPS, STEPS_BEFORE_MEASURING = 20, 4


class PackedTraining:
    """A mixin before `Trainer` or one of its subclasses: packed rows, Muon, our schedule, whole checkpoints.

    Reads `self.job`, which the class that mixes it in sets before calling `Trainer.__init__`.
    """

    job: Job

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        self.optimizer = build_optimizer(self.model, self.job.section)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        section = self.job.section
        factor = warmup_stable_decay(self.job.steps, section.warmup_steps, section.decay)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        segments = inputs.pop("segments")
        inputs["attention_mask"] = document_mask(segments, torch.bfloat16 if self.args.bf16 else torch.float32)
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._check_finite(loss, "loss")
        return loss

    def _clip_grad_norm(self, model) -> torch.Tensor:
        norm = super()._clip_grad_norm(model)
        self._check_finite(norm, "gradient")
        return norm

    def _check_finite(self, value: torch.Tensor, name: str) -> None:
        if not math.isfinite(value):
            kept = latest_whole(Path(self.args.output_dir))
            raise UserError(
                f"The {name} is {float(value)} at step {self.state.global_step + 1} of {self.job.stage}: lower its "
                f"learning_rate or look at its data; {f'{kept} is kept' if kept else 'no checkpoint was written yet'}."
            )

    def floating_point_ops(self, inputs: dict) -> int:
        return 0

    def _save_checkpoint(self, model, trial) -> None:
        Trainer._save_checkpoint(self, model, trial)
        if dist.is_initialized():
            dist.barrier()
        if self.args.should_save:
            checkpoint = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            mark_whole(checkpoint, self.progress.seconds())


class ProgressCallback(TrainerCallback):
    """The live line of a stage: step, loss, tokens/s, share of the machine's peak where that is known, time left."""

    def __init__(self, job: Job, flops: float, seconds_before: float) -> None:
        self.job, self.flops = job, flops
        self.seconds_before = seconds_before
        self.peak = peak_flops(job.layout)
        self.line = LiveLine(sys.stdout)
        self.loss = math.nan
        self.began = self.first_step_at = time.monotonic()
        self.first_step_cpu = time.process_time()
        self.first_step = None

    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def tokens_per_second(self, step: int) -> float:
        """Since the first step of this process was done, which may have been slow."""
        return self._tokens(step) / (time.monotonic() - self.first_step_at)

    def tokens_per_cpu_second(self, step: int) -> float:
        """The same by the processor's clock, which other work on the machine does not disturb."""
        return self._tokens(step) / (time.process_time() - self.first_step_cpu) / self.job.layout.processes

    def _tokens(self, step: int) -> int:
        return (step - (self.first_step or 0)) * self.job.section.batch_tokens

    def on_train_begin(self, args, state, control, **_) -> None:
        self.began = time.monotonic()

    def on_log(self, args, state, control, logs=None, **_) -> None:
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args, state, control, **_) -> None:
        warm = STEPS_BEFORE_MEASURING if self.job.measuring else 1
        if self.first_step is None or state.global_step == warm:
            self.first_step, self.first_step_at = state.global_step, time.monotonic()
            self.first_step_cpu = time.process_time()
            return
        if state.is_world_process_zero:
            self.line.show(self._text(state.global_step))

    def on_train_end(self, args, state, control, **_) -> None:
        if state.is_world_process_zero:
            self.line.end()

    def _text(self, step: int) -> str:
        if self.job.measuring:
            return f"{self.job.stage}  measuring this machine"
        speed = self.tokens_per_second(step)
        left = (self.job.steps - step) * self.job.section.batch_tokens / speed
        used = f"  MFU {speed * self.flops / self.peak:.0%}" if self.peak else ""
        loss = "" if math.isnan(self.loss) else f"  loss {self.loss:.3f}"
        return (
            f"{self.job.stage}  step {step:,}/{self.job.steps:,}{loss}  {amount(speed)} tokens/s{used}"
            f"  {clock(left)} left"
        )


class RowNumbers(Dataset):
    """The rows of a stage as a dataset for the Trainer."""

    def __init__(self, rows: PackedRows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int):
        return self.rows[index]


def training_arguments(job: Job) -> dict:
    """Arguments of `TrainingArguments` and of TRL's configs that extend it."""
    section = job.section
    on_cpu = job.layout.device == "cpu"
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(job.folder / "tensorboard")
    os.environ.setdefault("WANDB_NAME", f"{job.recipe.name}-{job.stage}")
    return {
        "output_dir": str(job.folder / "checkpoints"),
        "max_steps": MEASURED_STEPS if job.measuring else job.steps,
        "per_device_train_batch_size": job.rows_per_process,
        "train_sampling_strategy": "sequential",
        "learning_rate": section.learning_rate,
        "max_grad_norm": section.clip,
        "bf16": autocasts(job.layout.device),
        "use_cpu": on_cpu,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": not on_cpu,
        "gradient_checkpointing": False,
        "remove_unused_columns": False,
        "logging_steps": 10,
        "logging_nan_inf_filter": False,
        "save_strategy": "no" if job.measuring else "steps",
        "save_steps": section.checkpoint_every,
        "save_total_limit": 2,
        "report_to": "none" if job.measuring else (section.report_to or "none"),
        "disable_tqdm": True,
        "seed": job.recipe.seed,
    }


def prepare(model: torch.nn.Module, job: Job) -> None:
    """Make a model fast to train here; nothing of it is saved with the model."""
    if job.layout.device == "cpu":
        attention.register()
        model.set_attn_implementation(attention.NAME)
    skip_uncounted_logits(model, job.compiled)
    if job.compiled:
        for layer in model.base_model.layers:  # alike, so one of them is compiled and the others reuse it
            layer.compile(dynamic=False)


def run(trainer: Trainer, job: Job) -> Result:
    """Train from the last whole checkpoint, or from the start; returns what is known about it afterwards."""
    silence()
    trainer.remove_callback(PrinterCallback)
    checkpoint = None if job.measuring else latest_whole_everywhere(job)
    before = seconds_so_far(checkpoint) if checkpoint else 0.0
    trainer.progress = ProgressCallback(job, flops_per_token(trainer.model, job.section.row), before)
    trainer.add_callback(trainer.progress)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    progress = trainer.progress
    return Result(
        tokens_per_second=progress.tokens_per_second(trainer.state.global_step),
        tokens_per_cpu_second=progress.tokens_per_cpu_second(trainer.state.global_step),
        seconds=progress.seconds(),
        metrics=last_losses(trainer),
    )


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
    if dist.is_initialized():  # the first rank holds the meeting point of all: nobody leaves before the others
        dist.barrier()
        dist.destroy_process_group()


def save_model(model: PreTrainedModel, job: Job) -> None:
    """Write the model and its tokenizer as a Hugging Face folder `model/`, at once."""
    folder = job.folder / "model.part"
    model.config.use_cache = True
    model.to(getattr(torch, job.saved_as)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(job.tokenizer).save_pretrained(folder)
    shutil.rmtree(job.folder / "model", ignore_errors=True)
    folder.rename(job.folder / "model")


def latest_whole_everywhere(job: Job) -> Path | None:
    """The last whole checkpoint; the first rank alone clears away broken ones, before the others look."""
    folder = job.folder / "checkpoints"
    if not dist.is_initialized():
        return latest_whole(folder)
    found = latest_whole(folder) if dist.get_rank() == 0 else None
    box = [found]
    dist.broadcast_object_list(box)
    return box[0]


def last_losses(trainer: Trainer) -> dict[str, float]:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"training_loss": losses[-1]} if losses else {}


def silence() -> None:
    """Keep the libraries' own bars and warnings off the screen; there is one live line, and errors are exceptions."""
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    datasets.disable_progress_bars()


def is_first_rank() -> bool:
    return not dist.is_initialized() or dist.get_rank() == 0
