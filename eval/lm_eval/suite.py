"""A suite called "lm-eval:TASK" or "lm-eval:TASK:SHOTS": one task of that harness, or a group of them.

TASK is one of its names, or a YAML file with a task of one's own.
"""

from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path
from typing import NamedTuple

from eval.data import Inputs, Missing
from eval.figures import Figure, Section, answered, errors_in, mean, observed
from eval.meaning import Better, Meaning
from eval.records import Record
from eval.replies import Reported
from eval.requests import Elsewhere, Request
from eval.scores.score import Sample, Score
from eval.suite import Suite
from eval.task import Task
from serving.errors import UserError

PREFIX = "lm-eval:"
KEPT = ("id", "task", "prompt", "target", "better", "harness")
"""Of what lm-eval found, the part that the model has no hand in; another version of the harness asks other samples."""
OF_SUMS = {
    "word_perplexity": ("perplexity", 1.0),
    "byte_perplexity": ("perplexity", 1.0),
    "bits_per_byte": ("ratio", log(2)),
}
"""Metrics that are made of two numbers a document, a log-likelihood and a size: the statistic, and nats in its unit."""


class Named(NamedTuple):
    """What a suite's name says."""

    task: str
    file: Path | None
    """The user's own task, in YAML."""
    shots: int | None
    """None: as the task has it."""

    @property
    def suite(self) -> str:
        """The name with the file's whole path, so that runs can be read from anywhere."""
        shots = "" if self.shots is None else f":{self.shots}"
        return f"{PREFIX}{self.file or self.task}{shots}"


def read_name(name: str) -> Named:
    """Raises `UserError` when it is no name of such a suite."""
    task, _, shots = name.removeprefix(PREFIX).partition(":")
    if not task or (shots and not shots.isdecimal()):
        raise UserError(f"The suite {name!r} names no task: write lm-eval:TASK, or lm-eval:TASK:5 for five examples.")
    count = int(shots) if shots else None
    if not task.endswith((".yaml", ".yml")):
        return Named(task, None, count)
    path = Path(task).absolute()
    if not path.is_file():
        raise UserError(f"There is no file {task}: name a YAML file with a task of lm-eval, or one of its own tasks.")
    return Named(path.stem, path, count)


def lm_eval_suite(name: str, found: Sequence[Sample] | None = None) -> Suite:
    """The suite of that name, with what lm-eval found; without it a run can be read, but not asked."""
    named = read_name(name)

    def data(inputs: Inputs) -> list[Sample]:
        if found is None:
            raise Missing("a task of lm-eval is asked by `homegrown eval run --suite` alone")
        return [{key: row[key] for key in KEPT} for row in found]

    shown = Task(
        name=named.task.replace(".", "_"),
        data=data,
        asking=as_asked_elsewhere,
        scores=reported_scores,
        figures=figures,
        about=f"{named.task}, as lm-eval asks and scores it",
    )
    return Suite(named.suite, f"What does lm-eval find on {named.task}?", (shown,))


def as_asked_elsewhere(sample: Sample, plain: bool) -> Request:
    return Elsewhere(sample["id"], sample["prompt"])


def reported_scores(sample: Sample) -> list[Score]:
    """One score for each metric that is a number of a single document."""
    return [score_of(metric, better) for metric, better in sample["better"].items() if metric not in OF_SUMS]


def score_of(metric: str, better: Better) -> Score:
    return Score(metric, lambda sample, reply: number_of(reply, metric), meaning_of(metric, better))


def number_of(reply: Reported, metric: str) -> float | None:
    """None for what lm-eval makes a figure of in another way than by the mean of documents."""
    value = reply.values[metric]
    return float(value) if isinstance(value, int | float) else None


def meaning_of(metric: str, better: Better) -> Meaning:
    return Meaning(
        formula=f"the mean of {metric} over documents, each scored by lm-eval",
        source="Language Model Evaluation Harness (Gao et al. 2021), by its own code",
        caveat="ties, unread answers and special tokens are treated as that harness treats them",
        better=better,
        low=None,
        high=None,
    )


def figures(records: Sequence[Record]) -> list[Section]:
    """A section for each task of a group, with every metric of it."""
    by_task: dict[str, list[Record]] = {}
    for record in records:
        by_task.setdefault(record.sample["task"], []).append(record)
    prefix = (lambda name: f"{name}.") if len(by_task) > 1 else (lambda name: "")
    return [Section(f"lm-eval: {name}", list(_metrics(prefix(name), of))) for name, of in by_task.items()]


def _metrics(prefix: str, records: Sequence[Record]) -> Iterable[Figure]:
    for metric, better in records[0].sample["better"].items():
        if metric in OF_SUMS:
            yield _of_sums(f"{prefix}{metric}", metric, records)
        else:
            yield _mean(f"{prefix}{metric}", score_of(metric, better), records)


def _mean(key: str, score: Score, records: Sequence[Record]) -> Figure:
    replied = answered(records)
    if any(record.scores[score.name] is None for record in replied):
        why = "lm-eval makes it of all documents together, not of one at a time"
        return Figure(key, score.name, "mean", [], meaning=score.meaning, better=score.meaning.better, unmeasurable=why)
    values = {record.scores[score.name] for record in replied}
    figure = mean(key, score.name, records, score)
    if not values <= {0.0, 1.0}:
        return figure
    read = [observed(record, record.scores[score.name]) for record in replied]
    return Figure(key, score.name, "share", read, errors_in(records), better=figure.better, meaning=score.meaning)


def _of_sums(key: str, metric: str, records: Sequence[Record]) -> Figure:
    statistic, nats = OF_SUMS[metric]
    sums = [(record, *record.reply.values[metric]) for record in answered(records)]
    read = [observed(record, -logprob / nats, size) for record, logprob, size in sums]
    meaning = meaning_of(metric, "low")
    return Figure(key, metric, statistic, read, errors_in(records), better="low", unit="number", meaning=meaning)
