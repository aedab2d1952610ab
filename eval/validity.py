"""How far an embedder can be trusted: measured on every machine that uses it, never assumed.

Each measure has data of its own; their cosines are kept under home()/embedders, so that they are computed once.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from eval.data import Missing
from eval.rated import Rated, stsb_pairs, unrelated_pairs, wording_pairs
from serving.home import home

if TYPE_CHECKING:
    from eval.embedder import Embedder

RANDOM_PAIRS, STS_B, WORDINGS = "random pair cosine", "STS-B dev Spearman", "almanac wordings AUROC"
AT_ONCE = 256
"""Pairs: vectors that have a place for every word are long."""


def validity_of(embedder: "Embedder") -> dict[str, float | str]:
    """Each measure of `MEASURES` with its value, or "not measured: why"."""
    return {name: _measured(embedder, *measure) for name, measure in MEASURES.items()}


def shown(validity: Mapping[str, float | str]) -> str:
    """The measures in one line."""
    return ", ".join(f"{name} {v if isinstance(v, str) else f'{v:.2f}'}" for name, v in validity.items())


def mean_cosine(cosines: Sequence[float], ratings: Sequence[float]) -> float:
    return sum(cosines) / len(cosines)


def rank_correlation(cosines: Sequence[float], ratings: Sequence[float]) -> float:
    """Spearman's; NaN where all cosines are equal."""
    from scipy.stats import spearmanr

    return float(spearmanr(cosines, ratings).statistic) if len(set(cosines)) > 1 else math.nan


def separation(cosines: Sequence[float], ratings: Sequence[float]) -> float:
    """AUROC of pairs that mean the same against those that do not."""
    from eval.statistics import auroc

    sides = [[c for c, rating in zip(cosines, ratings, strict=True) if rating == side] for side in (1.0, 0.0)]
    return auroc(*sides).value


Measure = tuple[Callable[[], list[Rated]], Callable[[Sequence[float], Sequence[float]], float]]
MEASURES: dict[str, Measure] = {
    STS_B: (stsb_pairs, rank_correlation),
    WORDINGS: (wording_pairs, separation),
    RANDOM_PAIRS: (unrelated_pairs, mean_cosine),
}


def cosines_of(embedder: "Embedder", pairs: Sequence[Rated]) -> list[float]:
    """The cosine of each pair."""
    found: list[float] = []
    for start in range(0, len(pairs), AT_ONCE):
        part = pairs[start : start + AT_ONCE]
        first, second = (embedder.embed([pair[side] for pair in part]) for side in (0, 1))
        found += (first * second).sum(axis=1).tolist()
    return found


def kept_cosines(embedder: "Embedder", pairs: Sequence[Rated]) -> list[float]:
    """The cosine of each pair, computed once for these files of the embedder and these texts."""
    data = hashlib.sha256(json.dumps([pair[:2] for pair in pairs]).encode()).hexdigest()
    file = home() / "embedders" / embedder.sha256 / f"{data}.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    cosines = cosines_of(embedder, pairs)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(cosines) + "\n", encoding="utf-8")
    unfinished.replace(file)
    return cosines


def _measured(embedder: "Embedder", pairs_of: Callable, statistic: Callable) -> float | str:
    try:
        pairs = pairs_of()
    except Missing as missing:
        return f"not measured: {missing}"
    value = statistic(kept_cosines(embedder, pairs), [rating for _, _, rating in pairs])
    return value if math.isfinite(value) else "not measurable: it takes all these texts for equally alike"
