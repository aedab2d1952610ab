"""Context distillation: the student learns, without a prompt, what the base model expects to say with it."""

from functools import partial
from pathlib import Path

import torch
from peft import get_peft_model
from torch.nn.functional import kl_div
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from training.adapters import adapters_for, load_frozen
from training.alignment.kept import measure_kept
from training.alignment.trainer import OPTIMIZERS, AlignedTraining, begin, examples, finish, make_fast
from training.finetune import load_model
from training.job import Job
from training.trainer import run, training_arguments


class DistilLearner(AlignedTraining, Trainer):
    """Minimises the forward KL divergence of the student from the teacher, token by token of the teacher's answers.

    Over answers that the teacher draws, that is the divergence of whole answers (the mean over tokens in the place of
    the sum: a long answer counts as much as a short one for each of its tokens).
    """

    def __init__(self, job: Job, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **given) -> None:
        self.teacher, self.tokenizer = teacher.eval().requires_grad_(False), tokenizer
        super().__init__(job, **given)
        self.teacher.to(self.args.device)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None) -> torch.Tensor:
        taught, plain = (self._encoded(inputs[side]) for side in ("taught", "prompt"))
        answers, said = self._drawn(taught)
        with torch.no_grad():
            expected = self._logprobs(self.teacher, taught, answers, said)
        found = self._logprobs(model, plain, answers, said)
        divergence = kl_div(found, expected, reduction="none", log_target=True).sum(-1)
        return divergence[said].mean()

    def _encoded(self, prompts: list[str]) -> dict[str, torch.Tensor]:
        encoded = self.tokenizer(
            prompts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
        )
        return {name: encoded[name].to(self.args.device) for name in ("input_ids", "attention_mask")}

    @torch.no_grad()
    def _drawn(self, taught: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Answers of the teacher as token ids (batch, tokens), and which of these it says: up to the end token."""
        section, tokenizer = self.job.section, self.tokenizer
        output = self.teacher.generate(
            **taught,
            do_sample=True,
            temperature=section.temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=section.answer_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        answers = output[:, taught["input_ids"].shape[1] :]
        ends = (answers == tokenizer.eos_token_id).long()
        return answers, ends.cumsum(1) == ends

    def _logprobs(
        self, model: torch.nn.Module, prompts: dict[str, torch.Tensor], answers: torch.Tensor, said: torch.Tensor
    ) -> torch.Tensor:
        """What the model expects at each token of the answers: (batch, tokens, vocabulary)."""
        mask = torch.cat([prompts["attention_mask"], said.long()], dim=1)
        logits = model(
            input_ids=torch.cat([prompts["input_ids"], answers], dim=1),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            logits_to_keep=answers.shape[1] + 1,
            use_cache=False,
        ).logits
        return logits[:, :-1].float().log_softmax(-1)


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job, tokenizer = begin(path)
    section = job.section
    load = partial(load_model, job.base, tokenizer)
    base = make_fast(load(), job)
    student = make_fast(load_frozen(load, job), job)
    adapters = adapters_for(student, job, tokenizer)
    arguments = training_arguments(job) | {"optim": OPTIMIZERS[section.optimizer], "weight_decay": section.weight_decay}
    trainer = DistilLearner(
        job,
        base,
        tokenizer,
        model=get_peft_model(student, adapters) if adapters else student,
        args=TrainingArguments(**arguments),
        train_dataset=examples(job, "training", "prompt", "taught"),
        data_collator=_columns,
        processing_class=tokenizer,
    )
    result = run(trainer, job)
    if section.score and not job.measuring:
        rows = list(examples(job, "held_out", "prompt", "taught", "entity", "sample", "scores"))
        result.metrics |= measure_kept(job, tokenizer, base, trainer.accelerator.unwrap_model(trainer.model), rows)
    finish(job, trainer, result, load)


def _columns(rows: list[dict]) -> dict[str, list[str]]:
    return {side: [row[side] for row in rows] for side in ("prompt", "taught")}
