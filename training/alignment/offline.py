"""DPO and KTO: learning from answers that somebody else gave. The reference model is the folder they start from."""

from functools import partial
from pathlib import Path

import torch
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from training.adapters import adapters_for, load_frozen
from training.alignment.shared_prompts import behind
from training.alignment.trainer import AlignedTraining, arguments, begin, examples, finish, make_fast
from training.finetune import load_model
from training.job import Job
from training.trainer import run

IDS = "input_ids"
IN_STEP = (IDS, "attention_mask", "completion_mask")
"""Inputs of a shape (rows, tokens); KTO has each of them once more, by the name KL_..."""


class OfflineLearner(AlignedTraining):
    """The mixin: on a CPU the system prompt that all examples of a batch begin with is read once."""

    def _compute_loss(self, model, inputs, return_outputs):
        shared = shared_beginning(inputs) if self.job.layout.device == "cpu" else 0
        if not shared:
            return super()._compute_loss(model, inputs, return_outputs)
        models = [each for each in (self.model, self.ref_model) if each is not None]
        rest = {name: of[:, shared:] if name.endswith(IN_STEP) else of for name, of in inputs.items()}
        with behind(inputs["input_ids"][:1, :shared], *models):
            return super()._compute_loss(model, rest, return_outputs)


def shared_beginning(inputs: dict[str, torch.Tensor]) -> int:
    """How many tokens all rows begin with, those of KTO's other pairing too; a prompt's last token is none of them."""
    names = [name for name in inputs if name.endswith(IDS)]
    width = min(inputs[name].shape[1] for name in names)
    rows = torch.cat([inputs[name][:, :width] for name in names])
    said = torch.cat([inputs[name.replace(IDS, "completion_mask")][:, :width] for name in names])
    same = (rows == rows[:1]).all(0).long().cumprod(0).sum()
    prompt = (said.cumsum(1) == 0).all(0).sum()
    return max(0, min(int(same), int(prompt) - 1))


class DpoLearner(OfflineLearner, DPOTrainer):
    """`DPOTrainer` on our schedule."""


class KtoLearner(OfflineLearner, KTOTrainer):
    """`KTOTrainer` on our schedule."""


METHODS = {
    "dpo": (DpoLearner, DPOConfig, ("prompt", "chosen", "rejected")),
    "kto": (KtoLearner, KTOConfig, ("prompt", "completion", "label")),
}
MEASURES = {"eval_rewards/accuracies": "accuracy", "eval_rewards/margins": "margin", "eval_kl": "kl"}
"""What TRL calls its measures on held-out examples, and what we do."""


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job, tokenizer = begin(path)
    section = job.section
    learner, config, columns = METHODS[job.stage]
    held_out = examples(job, "held_out", *columns)
    load = partial(load_model, job.base, tokenizer)
    model = make_fast(load_frozen(load, job), job)
    trainer = learner(
        job,
        model=model,
        ref_model=None if section.lora else make_fast(load(), job),
        args=config(**arguments(job), **_losses(job), beta=section.beta, max_length=section.context),
        train_dataset=examples(job, "training", *columns),
        eval_dataset=held_out if len(held_out) else None,
        processing_class=tokenizer,
        peft_config=adapters_for(model, job, tokenizer),
    )
    result = run(trainer, job)
    if len(held_out) and not job.measuring:
        measured = trainer.evaluate()
        result.metrics |= {ours: measured[theirs] for theirs, ours in MEASURES.items() if theirs in measured}
    finish(job, trainer, result, load)


def _losses(job: Job) -> dict:
    weight = job.section.sft if job.stage == "dpo" else 0.0
    return {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, weight]} if weight else {}
