"""RLOO and GRPO: learning from rewards for one's own answers. The reference model is the folder they start from."""

from pathlib import Path

from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from training.adapters import lora_config
from training.alignment.rewards import LearnedReward, ScoreReward
from training.alignment.section import LEARNED
from training.alignment.trainer import (
    AlignedTraining,
    arguments,
    begin,
    examples,
    finish,
    make_fast,
    train,
)
from training.alignment.watch import Watch
from training.finetune import load_model
from training.job import Job
from training.trainer import is_first_rank, latest_whole_everywhere

COLUMNS = ("prompt", "sample", "scores")
LOGGED = ("reward", "kl", "entropy", "completions/mean_length")
"""What of the trainers' logs goes into the result: its mean over the last tenth of the steps."""


class RlooLearner(AlignedTraining, RLOOTrainer):
    """`RLOOTrainer` on our schedule."""


class GrpoLearner(AlignedTraining, GRPOTrainer):
    """`GRPOTrainer` on our schedule."""


METHODS = {"rloo": (RlooLearner, RLOOConfig), "grpo": (GrpoLearner, GRPOConfig)}


def main(path: Path) -> None:
    """Run one rank of the training that the job at `path` describes."""
    job, tokenizer = begin(path)
    section = job.section
    learner, config = METHODS[job.stage]
    trainer = learner(
        job,
        model=make_fast(load_model(job.base, tokenizer), job),
        reward_funcs=[
            LearnedReward(job.reward_model, tokenizer) if name == LEARNED else ScoreReward(name, tokenizer)
            for name in section.rewards
        ],
        args=config(**_arguments(job)),
        train_dataset=examples(job, "training", *COLUMNS),
        processing_class=tokenizer,
        peft_config=lora_config(section.lora) if section.lora else None,
    )
    watch = _watch(job, trainer) if section.quality and not job.measuring else None
    result = train(trainer, job)
    for name in LOGGED:
        values = [entry[name] for entry in trainer.state.log_history if name in entry]
        if last := values[-max(1, len(values) // 10) :]:
            result.metrics[name.rpartition("/")[2]] = sum(last) / len(last)
    if watch and is_first_rank():
        watch.restore_best(trainer.accelerator.unwrap_model(trainer.model))
        result.metrics |= {"quality_before": watch.looks[0][1], "quality": watch.best}
    finish(job, trainer, result)


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
    watch = Watch(job.section, trainer.processing_class, rows, job.folder / "best")
    watch.go_on_from(latest_whole_everywhere(job))
    trainer.add_callback(watch)
    trainer.add_to_checkpoint = watch.add_to_checkpoint
    return watch
