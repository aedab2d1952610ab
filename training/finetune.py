"""Supervised fine-tuning (SFT): TRL's SFTTrainer on conversations packed behind shared prefixes."""

from functools import partial
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, set_seed
from trl import SFTConfig, SFTTrainer

from serving.errors import UserError
from training.adapters import adapters_for, finished, keep_precise, load_frozen
from training.batches import collate
from training.fairness import Penalty
from training.forms import WordForms
from training.job import Job
from training.packed import PackedTraining, finish, prepare, train
from training.tokens import PackedRows
from training.trainer import training_arguments


class FineTuner(PackedTraining, SFTTrainer):
    """`SFTTrainer` with our loss: its entropy and accuracy metrics would halve the speed on CPUs."""

    def __init__(self, job: Job, penalty: Penalty | None = None, **arguments) -> None:
        self.job, self.penalty = job, penalty
        super().__init__(**arguments)
        keep_precise(self.model)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return loss + self.penalty(model, self.state.global_step) if self.penalty else loss


def main(path: Path) -> None:
    """Run one rank of the fine-tuning that the job at `path` describes."""
    job = Job.read(path)
    set_seed(job.recipe.seed)  # adapters are drawn before the trainer sets it
    arguments = SFTConfig(**training_arguments(job), max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    tokenizer = AutoTokenizer.from_pretrained(job.tokenizer)
    load = partial(load_model, job.base, tokenizer)
    model = load_frozen(load, job)
    section = job.recipe.sft
    prepare(model, job)
    rows = PackedRows(job.data / "training", job.recipe.seed)
    fair = section.fairness
    pairs = PackedRows(job.data / "pairs", job.recipe.seed) if fair else None
    trainer = FineTuner(
        job,
        Penalty(pairs, fair) if fair else None,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}),
        data_collator=lambda items: collate([rows[item["row"]] for item in items]),
        processing_class=tokenizer,
        peft_config=adapters_for(model, job, tokenizer),
    )
    table = trainer.model.get_input_embeddings().weight
    if section.share_forms and table.requires_grad:  # beside adapters it is frozen, or a copy of it is trained
        WordForms(tokenizer.backend_tokenizer).learn_together(table)
    result = train(trainer, job)
    finish(job, trainer.model if job.measuring else finished(trainer.model, job, load), result)


def load_model(name: str, tokenizer: PreTrainedTokenizerBase, **options) -> PreTrainedModel:
    """The model, its embedding large enough for `tokenizer`, and ending an answer where that does.

    It is in float32 unless `options`, which are those of `from_pretrained`, say otherwise.
    """
    try:
        model = AutoModelForCausalLM.from_pretrained(name, **({"dtype": torch.float32} | options))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The model {name} cannot be loaded ({reason}): check the name of the base.") from None
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    ends = model.generation_config.eos_token_id
    known = ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id not in known:
        model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
