"""Supervised fine-tuning (SFT): TRL's SFTTrainer on conversations packed behind shared prefixes."""

from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from serving.errors import UserError
from training.adapters import lora_config, merged
from training.batches import collate
from training.forms import WordForms
from training.job import Job
from training.packed import PackedTraining, finish, prepare, train
from training.tokens import PackedRows
from training.trainer import training_arguments


class FineTuner(PackedTraining, SFTTrainer):
    """`SFTTrainer` with our loss: its entropy and accuracy metrics would halve the speed on CPUs."""

    def __init__(self, job: Job, **arguments) -> None:
        self.job = job
        super().__init__(**arguments)


def main(path: Path) -> None:
    """Run one rank of the fine-tuning that the job at `path` describes."""
    job = Job.read(path)
    arguments = SFTConfig(**training_arguments(job), max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    tokenizer = AutoTokenizer.from_pretrained(job.tokenizer)
    model = load_model(job.base, tokenizer)
    section = job.recipe.sft
    if section.share_forms:
        WordForms(tokenizer.backend_tokenizer).learn_together(model.get_input_embeddings())
    prepare(model, job)
    rows = PackedRows(job.data / "training", job.recipe.seed)
    trainer = FineTuner(
        job,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}),
        data_collator=lambda items: collate([rows[item["row"]] for item in items]),
        processing_class=tokenizer,
        peft_config=lora_config(section.lora) if section.lora else None,
    )
    result = train(trainer, job)
    finish(job, merged(trainer.model), result)


def load_model(name: str, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model in float32, its embedding large enough for `tokenizer`, and ending an answer where that does."""
    try:
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"The model {name} cannot be loaded ({reason}): check the name in sft.base.") from None
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    ends = model.generation_config.eos_token_id
    known = ends if isinstance(ends, list) else [ends]
    if tokenizer.eos_token_id not in known:
        model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
