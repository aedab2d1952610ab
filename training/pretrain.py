"""Pretraining: a new model on packed rows, with transformers' Trainer and our parts."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Trainer, TrainingArguments

from training.batches import collate
from training.forms import WordForms
from training.job import Job
from training.model import build_model
from training.packed import PackedTraining, RowNumbers, finish, prepare, train
from training.tokenizer import PAD, TURN_END
from training.tokens import PackedRows
from training.trainer import training_arguments


class Pretrainer(PackedTraining, Trainer):
    def __init__(self, job: Job, **arguments) -> None:
        self.job = job
        super().__init__(**arguments)


def main(path: Path) -> None:
    """Run one rank of the pretraining that the job at `path` describes."""
    job = Job.read(path)
    arguments = TrainingArguments(**training_arguments(job))
    tokenizer = Tokenizer.from_file(str(job.tokenizer / "tokenizer.json"))
    torch.manual_seed(job.recipe.seed)
    model = build_model(
        job.recipe.model,
        tokenizer.get_vocab_size(),
        eos_token_id=tokenizer.token_to_id(TURN_END),
        pad_token_id=tokenizer.token_to_id(PAD),
    )
    if job.section.share_forms:
        forms = WordForms(tokenizer)
        forms.start_alike(model.get_input_embeddings())
        forms.learn_together(model.get_input_embeddings().weight)
    prepare(model, job)
    rows = PackedRows(job.data / "training", job.recipe.seed)
    trainer = Pretrainer(job, model=model, args=arguments, train_dataset=RowNumbers(rows), data_collator=collate)
    finish(job, model, train(trainer, job))
