"""DPO and KTO: learning from answers that somebody else gave. The reference model is the folder they start from."""

from functools import partial
from pathlib import Path

from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

from training.adapters import adapters_for, load_frozen
from training.alignment.trainer import AlignedTraining, arguments, begin, examples, finish, make_fast
from training.finetune import load_model
from training.job import Job
from training.trainer import run


class DpoLearner(AlignedTraining, DPOTrainer):
    """`DPOTrainer` on our schedule."""


class KtoLearner(AlignedTraining, KTOTrainer):
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
