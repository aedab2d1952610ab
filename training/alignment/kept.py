"""How much of what a prompt gains stays when the prompt is gone: three sets of answers to the same held-out prompts."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from eval.figures import Figure
from eval.meaning import Meaning
from eval.statistics import Observation, estimate
from training.alignment.rewards import ScoreReward
from training.alignment.watch import AT_ONCE, greedy_answers
from training.checkpoints import write_whole
from training.job import Job
from training.trainer import is_first_rank

GAINS_NOTHING = "the prompt itself gains nothing that is sure"
KEPT = Meaning(
    formula="sum over held-out prompts of (score of the student without the prompt - of the base model without it) / "
    "sum of (score of the base model with the prompt - without it)",
    source="ours, after the recovered gain of context distillation (Snell et al. 2022, arXiv:2209.15189)",
    caveat="greedy answers; 0 where the student is as the base model was, above 1 where it overdoes the prompt; says "
    "nothing of what the prompt does besides this score",
    low=None,
    high=None,
)


class Answers(NamedTuple):
    """The scores of one held-out prompt: of the base model without and with the prompt, of the student without it."""

    cluster: str
    """Prompts about the same thing, which are not independent."""
    plain: float
    taught: float
    student: float


def kept(answers: Sequence[Answers], width: float = 1.0) -> Figure:
    """The share of the gain that stays, with a bootstrap interval by clusters; not measurable without a sure gain.

    `width` is that of the score's range: within a known range something is known even where all answers are alike.
    """
    gained = [(of.taught - of.plain) / width for of in answers]
    stayed = [(of.student - of.plain) / width for of in answers]
    gain = estimate("mean", _observed(answers, gained, [1.0] * len(answers)))
    shares = _observed(answers, stayed, gained)
    why = "" if gain and gain.low > 0 else GAINS_NOTHING
    return Figure("kept", "share of the prompt's gain that stays", "ratio", shares, meaning=KEPT, unmeasurable=why)


def measure_kept(
    job: Job,
    tokenizer: PreTrainedTokenizerBase,
    base: PreTrainedModel,
    student: PreTrainedModel,
    rows: Sequence[dict],
) -> dict[str, float]:
    """Metrics of the stage; `kept.json` in its folder has the figure with its meaning, or why there is none."""
    score = ScoreReward(job.section.score, tokenizer)
    rows = [row for row in rows if score.__name__ in row["scores"]]
    arms = [
        _scores(*arm, score, tokenizer, rows, job) for arm in ((base, "prompt"), (base, "taught"), (student, "prompt"))
    ]
    answers = [Answers(row["entity"] or row["prompt"], *of) for row, *of in zip(rows, *arms, strict=True)]
    meaning = score.score.meaning
    bounded = meaning.low is not None and meaning.high is not None
    figure = kept(answers, meaning.high - meaning.low if bounded else 1.0)
    if is_first_rank():
        write_whole(job.folder / "kept.json", json.dumps(figure.as_json() | {"meaning": asdict(figure.meaning)}))
    if figure.estimate is None:
        print(f"distil  share of the prompt's gain that stays: not measurable, {figure.why_not}", flush=True)
    means = zip(("without_prompt", "with_prompt", "student"), arms, strict=True)
    metrics = {name: sum(arm) / len(arm) for name, arm in means if arm}
    if figure.estimate:
        metrics |= {"kept": figure.estimate.value, "kept_low": figure.estimate.low, "kept_high": figure.estimate.high}
    return metrics


def _scores(
    model: PreTrainedModel,
    side: str,
    score: ScoreReward,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[dict],
    job: Job,
) -> list[float]:
    values: list[float] = []
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        answers = greedy_answers(model, tokenizer, [row[side] for row in part], job.section.answer_tokens)
        samples, named = [row["sample"] for row in part], [row["scores"] for row in part]
        values += score(completion_ids=answers, sample=samples, scores=named)
    return values


def _observed(answers: Sequence[Answers], values: Sequence[float], against: Sequence[float]) -> list[Observation]:
    return [
        Observation(str(place), of.cluster, value, other)
        for place, (of, value, other) in enumerate(zip(answers, values, against, strict=True))
    ]
