"""How often a model to which groups are alike is called biased: simulated answers to the real probes.

    python benchmarks/bias_false_alarms.py [--replicas 1000]

Every replica is a model that is unbiased by construction: what it answers depends on the question, on the wording and
on chance, never on the group. Called biased is one whose 95 % interval of the effect lies above zero; p < 0.05, on
either side, is shown where the expected effect is zero (a wording that matters makes the plain effect negative). The
last model is biased: how often it is found. Exit code 1 where an unbiased one is called so in more than 5.7 %.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from eval.data import Inputs
from eval.differences import difference
from eval.figures import Figure
from eval.records import Record
from eval.replies import Answer, Scored
from eval.run import cluster_of
from eval.scores.swaps import EFFECT, SYSTEMATIC
from eval.statistics import Observation, wilson
from eval.swaps import arms_of, effect
from eval.task import Task
from eval.tasks.counterfactual import JUDGEMENTS, label_of
from eval.tasks.occupations import JOBS, OCCUPATIONS, summarise

NOMINAL, MOST = 0.05, 0.057


@dataclass(frozen=True)
class Model:
    """How often another wording, and how often chance alone, makes the answer to a question another one."""

    name: str
    wording: float
    chance: float
    group: float = 0.0
    """How often another group does: above 0 the model is biased."""


MODELS = (
    Model("answers by lot", 0.0, 1.0),
    Model("noisy", 0.0, 0.2),
    Model("seldom noisy", 0.0, 0.03),
    Model("moved by wordings", 0.5, 0.0),
    Model("moved by wordings, and noisy", 0.3, 0.1),
    Model("moved by some groups, and noisy", 0.3, 0.1, group=0.2),
)


def asked(task: Task) -> list[Record]:
    """A record of every case of the task, without scores."""
    cases = list(task.cases(task.data(Inputs())))
    return [Record(*case.id, cluster_of(task, case.sample), "", case.sample, "ok", reply=Answer("")) for case in cases]


def answered_by(model: Model, records: Sequence[Record], rng: np.random.Generator) -> list[Record]:
    """The records with yes or no; what a question, its wording or its group changes is drawn once for all its cells."""
    drawn: dict[tuple, bool] = {}

    def flips(rate: float, *what: object) -> bool:
        if what not in drawn:
            drawn[what] = bool(rng.random() < rate / 2)
        return drawn[what]

    answers = []
    for record in records:
        sample = record.sample
        said = flips(1.0, record.id) ^ flips(model.wording, record.id, sample["wording"])
        said ^= flips(model.group, record.id, "group", sample["group"]) ^ bool(rng.random() < model.chance / 2)
        answers.append(replace(record, scores={"answer_label": "yes" if said else "no"}))
    return answers


def effects(records: Sequence[Record]) -> Iterator[tuple[str, Figure, float]]:
    """The effects over all axes and on the first of them: name, figure, two-sided p-value of none."""
    arms = arms_of(records, lambda a, b: float(label_of(a) != label_of(b)))
    first = [of for of in arms if of.question.sample["axis"] == records[0].sample["axis"]]
    for name, of in (("all axes", arms), ("one axis", first)):
        for label, meaning, arm in (("effect", EFFECT, "swapped"), ("systematic", SYSTEMATIC, "both")):
            sides = [
                [Observation(a.question.id, a.question.cluster, getattr(a, n)) for a in of] for n in ("reworded", arm)
            ]
            yield f"{label}, {name}", effect(label, label, of, meaning, arm), difference("mean", *sides).p


def false_alarms(replicas: int) -> float:
    """Print the table of the judgements; the highest rate at which an unbiased model is called biased."""
    rng, records, highest = np.random.default_rng(0), asked(JUDGEMENTS), 0.0
    print(f"{len(records)} answers to {len({r.id for r in records})} questions, {replicas} replicas of each model\n")
    print(f"{'':<26}{'called biased':>26}{'p < 0.05':>26}")
    for model in MODELS:
        print(model.name)
        found: dict[str, list[tuple[bool, bool]]] = {}
        for _ in range(replicas):
            for name, figure, p in effects(answered_by(model, records, rng)):
                surely = bool(figure.estimate and figure.estimate.low > 0)
                found.setdefault(name, []).append((surely, p < NOMINAL))
        for name, calls in found.items():
            biased, different = (sum(side) for side in zip(*calls, strict=True))
            no_effect = not model.group and (not model.wording or name.startswith("systematic"))
            print(f"  {name:<24}{shown(biased, replicas):>26}{shown(different, replicas) if no_effect else '':>26}")
            highest = highest if model.group else max(highest, biased / replicas)
    return highest


def pronouns(replicas: int) -> float:
    """Print the same of jobs and pronouns, where frames have a preference of their own and chance moves every cell."""
    rng, records = np.random.default_rng(1), asked(OCCUPATIONS)
    keys = ("stereotype", "pull", "effect", "systematic")
    counts = dict.fromkeys(keys, 0)
    for _ in range(replicas):
        figures = {f.key: f for section in summarise(preferring(records, rng)) for f in section.figures}
        for key in keys:
            estimate = figures[key].estimate
            counts[key] += bool(estimate and estimate.low > 0)
    print("\njobs and pronouns, frames of unlike preference, every cell noisy")
    for key, count in counts.items():
        print(f"  {key:<24}{shown(count, replicas):>26}")
    return max(counts.values()) / replicas


def preferring(records: Sequence[Record], rng: np.random.Generator) -> list[Record]:
    """Log-odds of he: right for fathers and queens; of jobs those of the frame and chance alone."""
    frames = rng.normal(0, 1, 4)
    answers = []
    for record in records:
        sample, he = record.sample, rng.normal()
        first = sample["group"] == sample["groups"][0]["name"]
        he += frames[sample["wording"]] if sample["axis"] == JOBS else 9.0 * (1 if first else -1)
        reply = Scored([he, 0.0, -50.0], [1, 1, 1])
        answers.append(replace(record, reply=reply, scores=OCCUPATIONS.score(sample, reply)))
    return answers


def shown(count: int, of: int) -> str:
    share, low, high, _ = wilson(count, of)
    return f"{100 * share:.2f} % ({100 * low:.2f} - {100 * high:.2f})"


def main() -> None:
    """Read the options, simulate, print; exit code 1 where an unbiased model is called biased too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=1000)
    options = parser.parse_args()
    started = time.perf_counter()
    highest = max(false_alarms(options.replicas), pronouns(options.replicas))
    print(
        f"\nan unbiased model is called biased in at most {100 * highest:.2f} %, {time.perf_counter() - started:.0f} s"
    )
    raise SystemExit(highest > MOST)


if __name__ == "__main__":
    main()
