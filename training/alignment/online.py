"""RLOO and GRPO: learning from rewards for one's own answers. The reference model is the folder they start from."""

from functools import cached_property, partial
from pathlib import Path

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from training.adapters import adapters_for, load_frozen
from training.alignment.rewards import LearnedReward, ScoreReward
from training.alignment.section import LEARNED
from training.alignment.shared_prompts import answer, log_probabilities
from training.alignment.trainer import (
    AlignedTraining,
    arguments,
    begin,
    examples,
    finish,
    make_fast,
)
from training.alignment.watch import Watch
from training.alignment.worthwhile import worthwhile
from training.finetune import load_model
from training.job import Job
from training.trainer import is_first_rank, latest_whole_everywhere, run

COLUMNS = ("prompt", "sample", "scores")
HELD_ON_TO = 4
"""To so many own answers of a step there is one given answer to hold on to."""
GIVEN_LOSS = "given_loss"
"""What the loss of those is called in the logs."""
LOGGED = ("reward", "kl", "entropy", "completions/mean_length")
"""What of the trainers' logs goes into the result: its mean over the last tenth of the steps."""


class OnlineLearner(AlignedTraining):
    """The mixin: on a CPU prompts are read once for all answers to them, and given answers are held on to."""

    @cached_property
    def given(self) -> Dataset:
        """Prompts, each with its "chosen" answer; read only where the section's `sft` is set."""
        return examples(self.job, "training", "prompt", "chosen")

    @property
    def shares_prompts(self) -> bool:
        return self.job.layout.device == "cpu" and not self.use_vllm

    def answers(self, prompts: list[list[int]]) -> list[list[int]]:
        """The token ids of one sampled answer to every prompt."""
        tokenizer = self.processing_class
        longest, ends = self.max_completion_length, (tokenizer.eos_token_id, tokenizer.pad_token_id)
        with self.accelerator.autocast():
            return answer(self.accelerator.unwrap_model(self.model), prompts, longest, *ends, self.temperature)

    def _get_per_token_logps_and_entropies(self, model, input_ids, attention_mask, logits_to_keep, *others, **more):
        if not self.shares_prompts:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, *others, **more
            )
        with self.accelerator.autocast():
            return *log_probabilities(model, input_ids, attention_mask, logits_to_keep, self.temperature), None

    def compute_loss(self, model, inputs, *others, **more):
        loss = super().compute_loss(model, inputs, *others, **more)
        if weight := self.job.section.sft:
            of_given = self._loss_of_given_answers(model, max(1, len(inputs["completion_ids"]) // HELD_ON_TO))
            self._metrics["train"][GIVEN_LOSS].append(of_given.item())
            loss = loss + weight * of_given
        return loss

    def _loss_of_given_answers(self, model: torch.nn.Module, count: int) -> torch.Tensor:
        """The mean loss of a token of `count` answers, drawn anew each time."""
        drawn = self.given[torch.randint(len(self.given), (count,)).tolist()]
        read = partial(self.processing_class, add_special_tokens=False, padding=True, return_tensors="pt")
        prompts, answers = read(drawn["prompt"], padding_side="left"), read(drawn["chosen"], padding_side="right")
        ids, mask = (
            torch.cat([prompts[of], answers[of]], 1).to(model.device) for of in ("input_ids", "attention_mask")
        )
        said = answers["attention_mask"].to(model.device)
        values, *_ = self._get_per_token_logps_and_entropies(model, ids, mask, said.shape[1])
        return -(values * said).sum() / said.sum()


class RlooLearner(OnlineLearner, RLOOTrainer):
    """`RLOOTrainer` on our schedule."""

    def _generate_single_turn(self, prompt_ids, *others):
        return self.answers(prompt_ids) if self.shares_prompts else super()._generate_single_turn(prompt_ids, *others)


class GrpoLearner(OnlineLearner, GRPOTrainer):
    """`GRPOTrainer` on our schedule."""

    def _generate_single_turn(self, prompt_ids, *others):
        if self.shares_prompts:
            return self.answers(prompt_ids), None
        return super()._generate_single_turn(prompt_ids, *others)


METHODS = {"rloo": (RlooLearner, RLOOConfig), "grpo": (GrpoLearner, GRPOConfig)}


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job, tokenizer = begin(path)
    section = job.section
    learner, config = METHODS[job.stage]
    load = partial(load_model, job.base, tokenizer)
    model = make_fast(load_frozen(load, job), job)
    rewards = [
        LearnedReward(job.reward_model, tokenizer) if name == LEARNED else ScoreReward(name, tokenizer)
        for name in section.rewards
    ]
    settings = config(**_arguments(job))
    rows = examples(job, "training", *COLUMNS)
    if section.tried and not job.measuring:
        scores = [reward for reward in rewards if isinstance(reward, ScoreReward)]
        worthy = worthwhile(
            section, model.to(settings.device), tokenizer, scores, list(rows), job.folder / "tried.json"
        )
        rows = Dataset.from_list(worthy)
    trainer = learner(
        job,
        model=model,
        reward_funcs=rewards,
        args=settings,
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=adapters_for(model, job, tokenizer),
    )
    watch = _watch(job, trainer) if section.quality and not job.measuring else None
    result = run(trainer, job)
    for name in LOGGED:
        values = [entry[name] for entry in trainer.state.log_history if name in entry]
        if last := values[-max(1, len(values) // 10) :]:
            result.metrics[name.rpartition("/")[2]] = sum(last) / len(last)
    if watch and is_first_rank():
        watch.restore(trainer.accelerator.unwrap_model(trainer.model))
        result.metrics |= {"quality_before": watch.looks[0][1], "quality": watch.kept}
    finish(job, trainer, result, load)


def _arguments(job: Job) -> dict:
    section = job.section
    vllm = {"vllm_colocate": {"use_vllm": True}, "vllm_server": {"use_vllm": True, "vllm_mode": "server"}}
    return (
        arguments(job)
        | {
            "num_generations": section.generations,
            "max_completion_length": section.answer_tokens,
            "temperature": section.temperature,
            "beta": section.beta,
            "reward_weights": list(section.rewards.values()),
            "shuffle_dataset": False,
        }
        | vllm.get(section.engine, {})
    )


def _watch(job: Job, trainer: AlignedTraining) -> Watch | None:
    rows = [row for row in examples(job, "held_out", *COLUMNS) if set(row["scores"]) & set(job.section.quality)]
    if not rows:
        return None
    watch = Watch(job.section, trainer.processing_class, rows, job.folder / "kept")
    watch.go_on_from(latest_whole_everywhere(job))
    trainer.add_callback(watch)
    trainer.add_to_checkpoint = watch.add_to_checkpoint
    return watch
