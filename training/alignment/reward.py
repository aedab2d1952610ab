"""A reward model: TRL's RewardTrainer on preference pairs."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import ModelOutput
from trl import RewardConfig, RewardTrainer

from serving.errors import UserError
from training.adapters import adapters_for, load_frozen
from training.alignment.shared_prompts import rewards_behind_beginning
from training.alignment.trainer import (
    AlignedTraining,
    arguments,
    begin,
    examples,
    finish,
    first_sentence,
    make_fast,
)
from training.job import Job
from training.trainer import run


class RewardLearner(AlignedTraining, RewardTrainer):
    """`RewardTrainer` on our schedule; the system prompt that all examples begin with is read once a step."""

    def compute_loss(self, model, inputs, *others, **more):
        def read(input_ids: torch.Tensor, attention_mask: torch.Tensor, **_) -> ModelOutput:
            return ModelOutput(logits=rewards_behind_beginning(model, input_ids, attention_mask))

        return super().compute_loss(read, inputs, *others, **more)


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job, tokenizer = begin(path)
    section = job.section
    load = partial(new_reward_model, job.base, tokenizer)
    model = make_fast(load_frozen(load, job), job)
    trainer = RewardLearner(
        job,
        model=model,
        args=RewardConfig(**arguments(job), max_length=section.context, center_rewards_coefficient=section.centre),
        train_dataset=examples(job, "training", "prompt", "chosen", "rejected"),
        processing_class=tokenizer,
        peft_config=adapters_for(model, job, tokenizer, "SEQ_CLS"),
    )
    result = run(trainer, job)
    if not job.measuring:
        result.metrics |= accuracies(trainer.model, tokenizer, job)
    finish(job, trainer, result, load)


def new_reward_model(base: str, tokenizer: PreTrainedTokenizerBase, **options) -> PreTrainedModel:
    """The model with a new head of one number, read at the last token; `options` as in `load_model`."""
    options = {"dtype": torch.float32} | options
    try:
        model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, **options)
    except (OSError, ValueError) as error:
        raise UserError(f"The model {base} cannot be loaded ({first_sentence(error)}): check reward.base.") from None
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def accuracies(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job) -> dict[str, float]:
    """The share of held-out pairs whose preferred answer has the higher reward; ties are wrong.

    `length_accuracy` is what always taking the shorter answer, or always the longer one, would reach.
    """
    rows = list(examples(job, "held_out", "prompt", "chosen", "rejected"))
    if not rows:
        return {}
    ids = {side: [answer_ids(tokenizer, row["prompt"], row[side]) for row in rows] for side in ("chosen", "rejected")}
    chosen, rejected = (rewards_of(model, tokenizer.pad_token_id, ids[side]) for side in ("chosen", "rejected"))
    shorter = [len(good) < len(bad) for good, bad in zip(ids["chosen"], ids["rejected"], strict=True)]
    longer = [len(good) > len(bad) for good, bad in zip(ids["chosen"], ids["rejected"], strict=True)]
    right = [good > bad for good, bad in zip(chosen, rejected, strict=True)]
    count = len(rows)
    return {"accuracy": sum(right) / count, "length_accuracy": max(sum(shorter), sum(longer)) / count}


def answer_ids(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> list[int]:
    """A prompt with its answer as the reward model reads them."""
    return tokenizer(prompt + answer, add_special_tokens=False)["input_ids"]


@torch.inference_mode()
def rewards_of(model: PreTrainedModel, pad_id: int, sequences: Sequence[list[int]]) -> list[float]:
    """The reward of every sequence of token ids."""
    model.eval()
    lengths = torch.tensor([len(sequence) for sequence in sequences], device=model.device)
    width = int(lengths.max())
    ids = torch.tensor([sequence + [pad_id] * (width - len(sequence)) for sequence in sequences], device=model.device)
    mask = torch.arange(width, device=model.device) < lengths[:, None]
    return rewards_behind_beginning(model, ids, mask.long())[:, 0].tolist()
