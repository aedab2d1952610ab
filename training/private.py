"""Fine-tuning of adapters under differential privacy (DP-SGD): what any one document did to the model stays bounded.

Each step takes every document with the same small chance (Poisson sampling), clips the gradient of each to the same
norm, and adds noise to their sum. What is bounded is what the adapters tell of the documents of this stage; neither
what the base model and its tokenizer have read before, nor the training losses that are logged.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from opacus.accountants import RDPAccountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.grad_sample import GradSampleHooks
from opacus.optimizers import DPOptimizer
from peft import get_peft_model
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed

from serving.errors import UserError
from training import attention
from training.adapters import finished, lora_config
from training.batches import IGNORED, collate, document_mask
from training.finetune import load_model
from training.job import Job
from training.packed import RowNumbers, finish, train
from training.prefix_packing import PADDING, ROW
from training.tokens import PackedRows
from training.trainer import StagedTraining, training_arguments


class Spent(NamedTuple):
    """What the guarantee is: (epsilon, delta)-differential privacy with regard to one document more or less."""

    noise: float
    epsilon: float
    delta: float


def spent(job: Job, documents: int) -> Spent:
    """What all steps of the job spend (Renyi accountant of Mironov et al. 2019, arXiv:1908.10530).

    Raises `UserError` where no noise is enough for the epsilon that is wanted.
    """
    privacy, sampled = job.section.privacy, job.section.rows_per_batch / documents
    delta = privacy.delta or 0.1 / documents
    noise = privacy.noise
    if noise is None:
        target = {"target_epsilon": privacy.epsilon, "target_delta": delta}
        try:
            noise = get_noise_multiplier(**target, sample_rate=sampled, steps=job.steps, accountant="rdp")
        except ValueError:
            raise UserError(
                f"sft.privacy: no noise makes {job.steps} steps over {documents} documents cost an epsilon of "
                f"{privacy.epsilon} only: take fewer steps, a smaller batch, or more documents."
            ) from None
    accountant = RDPAccountant()
    accountant.history = [(noise, sampled, job.steps)]
    return Spent(noise, accountant.get_epsilon(delta), delta)


class PoissonBatches:
    """As many batches as there are steps: each document is in each of them with the chance `share`, by lot.

    What a batch holds depends on seed and step alone, so that an interrupted run goes on with the same ones.
    """

    def __init__(self, documents: int, share: float, steps: int, seed: int) -> None:
        self.documents, self.share, self.steps, self.seed = documents, share, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.steps):
            drawn = np.random.default_rng([self.seed, step]).random(self.documents) < self.share
            yield np.flatnonzero(drawn).tolist()


class PrivateTuner(StagedTraining, Trainer):
    """The Trainer with the gradients of single documents, clipped and noised by opacus."""

    def __init__(self, job: Job, noise: float, **given) -> None:
        self.job, self.noise = job, noise
        super().__init__(**given)
        GradSampleHooks(self.model)

    def get_train_dataloader(self) -> DataLoader:
        documents = len(self.train_dataset)
        share = self.job.section.rows_per_batch / documents
        batches = PoissonBatches(documents, share, self.args.max_steps, self.job.recipe.seed)
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=alone)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        section = self.job.section
        adapters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = DPOptimizer(
            torch.optim.AdamW(adapters, lr=section.learning_rate, weight_decay=section.weight_decay),
            noise_multiplier=self.noise,
            max_grad_norm=section.privacy.clip,
            expected_batch_size=section.rows_per_batch,
        )
        return self.optimizer

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        self.optimizer.zero_grad()  # the Trainer clears the gradients of batches, not those of single documents
        return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None) -> torch.Tensor:
        return document_loss(model, inputs, torch.bfloat16 if self.args.bf16 else torch.float32)


def document_loss(
    model: torch.nn.Module, batch: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """The mean over documents of the mean over their tokens: no document has a say in another one's gradient."""
    labels = batch["labels"][:, 1:]
    logits = model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=document_mask(batch["segments"], dtype),
        use_cache=False,
    ).logits[:, :-1]
    nats = cross_entropy(logits.transpose(1, 2).float(), labels, ignore_index=IGNORED, reduction="none")
    return (nats.sum(1) / (labels != IGNORED).sum(1).clamp(min=1)).mean()


def alone(rows: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """A batch of documents, a row each, cut to the longest; where the lot fell on none, an empty row: no gradient."""
    longest = max((int((row["segment"] != PADDING).sum()) for row in rows), default=2)
    return collate([row[:longest] for row in rows] or [np.zeros(longest, ROW)])


def main(path: Path) -> None:
    """Run the fine-tuning that the job at `path` describes."""
    job = Job.read(path)
    set_seed(job.recipe.seed)  # adapters are drawn before the trainer sets it
    tokenizer = AutoTokenizer.from_pretrained(job.tokenizer)
    model = load_model(job.base, tokenizer)
    if job.layout.device == "cpu":
        attention.register()
        model.set_attn_implementation(attention.NAME)
    rows = PackedRows(job.data / "training", job.recipe.seed)
    guarantee = spent(job, len(rows))
    arguments = training_arguments(job) | {"max_grad_norm": 0.0}  # the norm of a whole batch is not to be looked at
    trainer = PrivateTuner(
        job,
        guarantee.noise,
        model=get_peft_model(model, lora_config(job.section.lora)),
        args=TrainingArguments(**arguments),
        train_dataset=RowNumbers(rows),
        processing_class=tokenizer,
    )
    result = train(trainer, job)
    result.metrics |= guarantee._asdict() | {"documents": len(rows)}
    finish(job, trainer.model if job.measuring else finished(trainer.model, job, lambda: model), result)
