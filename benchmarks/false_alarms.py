"""How often equal runs are called different, and how often intervals hold the truth: simulated, where truth is known.

    python benchmarks/false_alarms.py [--pairs 10000] [--intervals 4000] [--replicates 599]

Prints for every kind of figure the share of pairs of runs of one model that are called different at p < 0.05 before
Holm, and for the family of all of them the share of pairs with any such call after Holm; then the share of 95 %
intervals that hold the truth. Every question is asked twice, and its answers depend on each other.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import eval.resampling
from eval.differences import difference, holm
from eval.statistics import Observation, Statistic, estimate

QUESTIONS = 60
FAMILY: tuple[Statistic, ...] = ("share", "mean", "ratio", "perplexity", "auroc", "spread", "median")
Run = list[Observation]


def observed(
    values: Sequence[float], against: Sequence[float], clusters: Sequence[int], groups: Sequence[str] | None = None
) -> Run:
    """Observations, one of each."""
    rows = zip(clusters, values, against, groups or [""] * len(values), strict=True)
    return [Observation(str(i), str(c), float(v), float(a), g) for i, (c, v, a, g) in enumerate(rows)]


def same_model_twice(statistic: Statistic, rng: np.random.Generator, questions: int) -> Iterator[Run]:
    """Two runs of one model: what is common to a question, and what chance adds to each of its two answers."""
    clusters = np.repeat(np.arange(questions), 2)
    ease = rng.normal(size=questions)[clusters]
    kind = clusters % 2
    for _ in range(2):
        values = ease + rng.normal(size=2 * questions)
        chance = 1 / (1 + np.exp(-ease))
        if statistic == "share":
            yield observed(values > 0, np.ones_like(ease), clusters)
        elif statistic in ("ratio", "perplexity"):
            yield observed(np.exp(values / 2), 2 + np.cos(np.arange(2 * questions)), clusters)
        elif statistic == "auroc":
            yield observed(values + kind, kind, clusters)
        elif statistic == "balanced_accuracy":
            yield observed(values > -1, kind, clusters)
        elif statistic in ("ece", "aurc"):
            yield observed(1 / (1 + np.exp(-values)), rng.random(2 * questions) < chance, clusters)
        else:
            yield observed(values, ease + rng.normal(size=2 * questions), clusters, ["a", "b"] * questions)


def clustered_share(rng: np.random.Generator, share: float = 0.9, alike: float = 0.3) -> Run:
    """Beta-binomial clusters of 1 to 5 answers, `alike` their correlation."""
    precision = (1 - alike) / alike
    sides = rng.beta(share * precision, (1 - share) * precision, QUESTIONS)
    clusters = np.repeat(np.arange(QUESTIONS), rng.integers(1, 6, QUESTIONS))
    return observed(rng.random(len(clusters)) < sides[clusters], np.ones(len(clusters)), clusters)


def clustered_mean(rng: np.random.Generator) -> Run:
    """Three answers a question, as much alike as not; their mean is 0."""
    clusters = np.repeat(np.arange(QUESTIONS), 3)
    values = rng.normal(size=QUESTIONS)[clusters] + rng.normal(size=len(clusters))
    return observed(values, np.ones(len(clusters)), clusters)


def skewed_ratio(rng: np.random.Generator) -> Run:
    """Documents of unequal length, their rates skewed as well; the ratio is 1."""
    lengths = rng.gamma(2, 50, QUESTIONS)
    return observed(rng.gamma(4, 0.25, QUESTIONS) * lengths, lengths, range(QUESTIONS))


def single_share(rng: np.random.Generator) -> Run:
    """Independent answers, four in five right."""
    return observed(rng.random(5 * QUESTIONS) < 0.8, np.ones(5 * QUESTIONS), range(5 * QUESTIONS))


INTERVALS: tuple[tuple[str, Statistic, float, Callable[[np.random.Generator], Run]], ...] = (
    ("share, Wilson", "share", 0.8, single_share),
    ("share, clustered", "share", 0.9, clustered_share),
    ("mean, cluster t", "mean", 0.0, clustered_mean),
    ("ratio, cluster bootstrap", "ratio", 1.0, skewed_ratio),
)


def false_alarms(pairs: int) -> None:
    """Print the table of false alarms."""
    rng = np.random.default_rng(0)
    p_values = np.array([[difference(s, *same_model_twice(s, rng, QUESTIONS)).p for s in FAMILY] for _ in range(pairs)])
    print(f"{'the same model twice':<28}called different, of {pairs} pairs")
    for statistic, share in zip(FAMILY, (p_values < 0.05).mean(0), strict=True):
        print(f"  {statistic:<26}{100 * share:.2f} %")
    print(f"  {'all, before Holm':<26}{100 * (p_values < 0.05).mean():.2f} %")
    any_after = np.mean([min(holm(list(row))) < 0.05 for row in p_values])
    print(f"  {'any, after Holm':<26}{100 * any_after:.2f} %\n")


def coverage(runs: int) -> None:
    """Print the table of coverage."""
    rng = np.random.default_rng(1)
    print(f"{'95 % interval':<28}holds the truth, of {runs} runs")
    for name, statistic, truth, draw in INTERVALS:
        found = (estimate(statistic, draw(rng)) for _ in range(runs))
        print(f"  {name:<26}{100 * np.mean([e.low <= truth <= e.high for e in found]):.2f} %")


def main() -> None:
    """Read the options, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--intervals", type=int, default=4_000)
    parser.add_argument("--replicates", type=int, default=599, help="resamples of a bootstrap; the harness takes 4999")
    options = parser.parse_args()
    eval.resampling.REPLICATES = eval.resampling.FEWEST_REPLICATES = options.replicates
    started = time.perf_counter()
    false_alarms(options.pairs)
    coverage(options.intervals)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
