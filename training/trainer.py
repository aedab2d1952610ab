"""What every stage on transformers' Trainer shares: optimizer, schedule, whole checkpoints, the live line."""

import json
import math
import os
import sys
import time
import warnings
from pathlib import Path

import datasets
import torch
import torch.distributed as dist
from transformers import PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import logging

from serving.errors import UserError
from training.checkpoints import latest_whole, mark_whole, seconds_so_far, write_whole
from training.hardware import autocasts, peak_flops
from training.job import Job, Result
from training.optimizers import build_optimizer, warmup_stable_decay
from training.progress import LiveLine, amount, clock

MEASURED_STEPS, STEPS_BEFORE_MEASURING = 20, 4


class StagedTraining:
    """A mixin before `Trainer` or one of its subclasses: Muon, our schedule, whole checkpoints, finite losses.

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
            self.add_to_checkpoint(checkpoint)
            mark_whole(checkpoint, self.progress.seconds())

    def add_to_checkpoint(self, checkpoint: Path) -> None:
        """What a stage saves besides model, optimizer, schedule and random state; called on the first rank."""


class ProgressCallback(TrainerCallback):
    """The live line of a stage: step, loss, speed, share of the machine's peak where that is known, time left.

    `flops` are those of one token or image, forwards and backwards; 0 where nobody counted them.
    """

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

    def per_second(self, step: int) -> float:
        """Tokens or images since the first step of this process was done, which may have been slow."""
        return self._seen(step) / (time.monotonic() - self.first_step_at)

    def per_cpu_second(self, step: int) -> float:
        """The same by the processor's clock, which other work on the machine does not disturb."""
        return self._seen(step) / (time.process_time() - self.first_step_cpu) / self.job.layout.processes

    def seconds_left(self, step: int) -> float:
        return (self.job.steps - step) * self.job.section.per_step / self.per_second(step)

    def _seen(self, step: int) -> int:
        return (step - (self.first_step or 0)) * self.job.section.per_step

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
        speed = self.per_second(step)
        used = f"  MFU {speed * self.flops / self.peak:.0%}" if self.peak and self.flops else ""
        loss = "" if math.isnan(self.loss) else f"  loss {self.loss:.3f}"
        return (
            f"{self.job.stage}  step {step:,}/{self.job.steps:,}{loss}  {amount(speed)} {self.job.section.unit}/s{used}"
            f"  {clock(self.seconds_left(step))} left"
        )


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


def run(trainer: Trainer, job: Job, flops: float = 0.0) -> Result:
    """Train from the last whole checkpoint, or from the start; returns what is known about it afterwards.

    What was logged is kept as `curves.json`. `flops` as in `ProgressCallback`.
    """
    silence()
    trainer.remove_callback(PrinterCallback)
    checkpoint = None if job.measuring else latest_whole_everywhere(job)
    before = seconds_so_far(checkpoint) if checkpoint else 0.0
    trainer.progress = ProgressCallback(job, flops, before)
    trainer.add_callback(trainer.progress)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if is_first_rank() and not job.measuring:
        write_whole(job.folder / "curves.json", json.dumps(curves(trainer.state.log_history)))
    progress = trainer.progress
    return Result(
        per_second=progress.per_second(trainer.state.global_step),
        per_cpu_second=progress.per_cpu_second(trainer.state.global_step),
        seconds=progress.seconds(),
        metrics=last_losses(trainer),
    )


def latest_whole_everywhere(job: Job) -> Path | None:
    """The last whole checkpoint; the first rank alone clears away broken ones, before the others look."""
    folder = job.folder / "checkpoints"
    if not dist.is_initialized():
        return latest_whole(folder)
    found = latest_whole(folder) if dist.get_rank() == 0 else None
    box = [found]
    dist.broadcast_object_list(box)
    return box[0]


def curves(history: list[dict]) -> dict[str, list[tuple[int, float]]]:
    """Every number that a trainer logged, by name: (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in history:
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                found.setdefault(name, []).append((entry["step"], value))
    return found


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


def leave_together() -> None:
    """Wait until every rank is here, then end this process; where there is only one, do nothing.

    The process must not end by returning: while Python frees what `DistributedDataParallel` holds, the main thread has
    the interpreter's lock and waits for a thread of gloo, which may be waiting for that lock to free its last barrier.
    """
    if dist.is_initialized():
        dist.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
