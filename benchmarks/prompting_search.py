"""Does the search for a good prompt find what asking every prompt everything finds, what does it save, and does it err?

    python benchmarks/prompting_search.py [--replicas 200] [--questions 300] [--techniques 11]

Simulated models, whose share of good answers in every technique is known, are put through the prompting suite's own
race, and through the same suite without one. For each kind of model it prints how many requests each took, how often a
technique is called better than zero-shot and which, how often one is called worse, and how often all intervals of a run
hold their truth together. Where no technique differs, every such call is a false alarm.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from eval.prompting.comparison import Comparison
from eval.prompting.technique import REFERENCE
from tests.unit.eval.prompting_runs import raced, samples, task_of

ZERO_SHOT = 0.5
KINDS = {
    "no technique differs": {},
    "one is 20 points better": {"t3": ZERO_SHOT + 0.2},
    "one is 12 points better": {"t3": ZERO_SHOT + 0.12},
    "three are 10, 15 and 20 points better": {"t1": ZERO_SHOT + 0.1, "t5": ZERO_SHOT + 0.15, "t9": ZERO_SHOT + 0.2},
    "one is 40 points worse": {"t3": ZERO_SHOT - 0.4},
    "all are 5 to 25 points worse": {f"t{n}": ZERO_SHOT - 0.05 - 0.02 * n for n in range(11)},
}


class Found(NamedTuple):
    """What one replica came to."""

    best: str | None
    worse: bool
    """Of those that reached the fresh questions."""
    warned: bool
    """Of those that dropped out."""
    covered: bool
    requests: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=200)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--techniques", type=int, default=11)
    wanted = parser.parse_args()
    tasks = {full: task_of([f"t{n}" for n in range(wanted.techniques)], full) for full in (True, False)}
    cases = {full: list(task.cases(samples(wanted.questions))) for full, task in tasks.items()}
    print(f"{'':40}{'requests':>10}{'better':>9}{'the best':>10}{'worse':>8}{'warned':>8}{'all held':>10}{'agree':>8}")
    for kind, differing in KINDS.items():
        skills = {REFERENCE: ZERO_SHOT} | differing
        runs = {
            full: [found(*raced(tasks[full], cases[full], skills, seed), skills) for seed in range(wanted.replicas)]
            for full in (True, False)
        }
        agree = share([a.best == b.best for a, b in zip(runs[True], runs[False], strict=True)])
        for full, replicas in runs.items():
            print(f"{kind if full else '':40}{line(replicas, skills)}{'' if full else f'{agree:8.1%}'}", flush=True)


def found(comparison: Comparison, requests: int, skills: Mapping[str, float]) -> Found:
    truth = {name: skills.get(name, ZERO_SHOT) - ZERO_SHOT for name in comparison.table}
    contrasts = comparison.contrasts
    return Found(
        comparison.best,
        any(contrast.is_worse for contrast in contrasts.values()),
        any(contrast.is_worse for contrast in comparison.warnings.values()),
        all(contrast.low <= truth[name] <= contrast.high for name, contrast in contrasts.items()),
        requests,
    )


def line(replicas: list[Found], skills: Mapping[str, float]) -> str:
    best = max(skills, key=skills.__getitem__)
    shares = [
        share([one.best is not None for one in replicas]),
        share([one.best == best for one in replicas]),
        share([one.worse for one in replicas]),
        share([one.warned for one in replicas]),
        share([one.covered for one in replicas]),
    ]
    requests = sum(one.requests for one in replicas) / len(replicas)
    return f"{requests:10,.0f}" + "".join(f"{s:{w}.1%}" for s, w in zip(shares, (9, 10, 8, 8, 10), strict=True))


def share(held: list[bool]) -> float:
    return sum(held) / len(held)


if __name__ == "__main__":
    main()
