"""Supervised fine-tuning (SFT): TRL's SFTTrainer on conversations packed behind shared prefixes."""

from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from training.adapters import lora_config
from training.job import Job
from training.prefix_packing import collate
from training.tokens import PackedRows
from training.trainer import PackedTraining, finish, prepare, run, training_arguments


class FineTuner(PackedTraining, SFTTrainer):
    """`SFTTrainer` with our loss: its entropy and accuracy metrics would halve the speed on CPUs."""

    def __init__(self, job: Job, **arguments) -> None:
        self.job = job
        super().__init__(**arguments)


def main(path: Path) -> None:
    """Run one rank of the fine-tuning that the job at `path` describes."""
    job = Job.read(path)
    arguments = SFTConfig(**training_arguments(job), max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    model = AutoModelForCausalLM.from_pretrained(job.base, dtype=torch.float32)
    prepare(model, job)
    rows = PackedRows(job.data, job.recipe.seed)
    section = job.recipe.sft
    trainer = FineTuner(
        job,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": list(range(len(rows)))}),
        data_collator=lambda items: collate([rows[item["row"]] for item in items]),
        processing_class=AutoTokenizer.from_pretrained(job.tokenizer),
        peft_config=lora_config(section.lora) if section.lora else None,
    )
    finish(trainer, job, run(trainer, job))
