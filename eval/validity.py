"""How far an embedder can be trusted: measured on every machine that uses it, never assumed.

Each measure has data of its own; what has been measured is kept under home()/embedders, so that it is done once.
"""

import csv
import hashlib
import itertools
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from eval.data import Inputs, Missing, public_path, rows
from prompts.library import FOLDER as PROMPTS
from serving.home import home

if TYPE_CHECKING:
    from eval.embedder import Embedder

RANDOM_PAIRS, STS_B, WORDINGS = "random pair cosine", "STS-B dev Spearman", "almanac wordings AUROC"
UNRELATED = PROMPTS / "probes" / "unrelated_sentences.txt"
MOST_WORDINGS = 1000
Rated = tuple[str, str, float]
"""Two texts and how alike they are: a rating, 1 or 0 for the same or not, anything where nothing is compared."""


def validity_of(embedder: "Embedder") -> dict[str, float | str]:
    """Each measure of `MEASURES` with its value, or "not measured: why"."""
    return {name: _measured(embedder, name, *measure) for name, measure in MEASURES.items()}


def shown(validity: Mapping[str, float | str]) -> str:
    """The measures in one line."""
    return ", ".join(f"{name} {v if isinstance(v, str) else f'{v:.2f}'}" for name, v in validity.items())


def unrelated_pairs() -> list[Rated]:
    """All pairs of sentences that were written to have nothing to do with each other."""
    sentences = UNRELATED.read_text(encoding="utf-8").splitlines()
    return [(a, b, 0.0) for a, b in itertools.combinations(sentences, 2)]


def stsb_pairs(split: str = "dev") -> list[Rated]:
    """Pairs of sentences rated by people from 0 to 5 (Cer et al. 2017, arXiv:1708.00055). Raises `Missing`."""
    with public_path(f"stsb/stsb-en-{split}.csv").open(encoding="utf-8", newline="") as lines:
        return [(first, second, float(score)) for first, second, score in csv.reader(lines)]


def wording_pairs() -> list[Rated]:
    """Questions of the almanac's exam, in wordings that training never uses. Raises `Missing`.

    A question about one thing is paired with another wording of it (the question about another thing, with the name
    exchanged), rated 1; with that question as it stands, about the other thing; and with a question about the same
    thing that asks for another relation, both rated 0.
    """
    path = Inputs().exam()
    if not path.exists():
        raise Missing(f"there is no exam at {path}: make it with `homegrown train exam almanac`")
    facts = [row for row in rows(path) if row["group"] == "fact" and row["entity"] in row["question"]]
    random.Random(0).shuffle(facts)
    pairs: list[Rated] = []
    for fact in facts[:MOST_WORDINGS]:
        same = _other(facts, fact, lambda row, fact=fact: row["relation"] == fact["relation"])
        different = _other(facts, fact, lambda row, fact=fact: row["relation"] != fact["relation"])
        if same and different:
            question = fact["question"]
            pairs.append((question, _about(same, fact["entity"]), 1.0))
            pairs.append((question, same["question"], 0.0))
            pairs.append((question, _about(different, fact["entity"]), 0.0))
    if not pairs:
        raise Missing(f"the exam at {path} asks of no relation twice in different wordings")
    return pairs


def _other(facts: Sequence[dict], fact: dict, fits: Callable[[dict], bool]) -> dict | None:
    """A question about another thing of the same subject, in another wording."""
    start = facts.index(fact)
    others = itertools.chain(facts[start + 1 :], facts[:start])
    return next(
        (
            row
            for row in others
            if row["subject"] == fact["subject"]
            and row["entity"] != fact["entity"]
            and row["wording"] != fact["wording"]
            and fits(row)
        ),
        None,
    )


def _about(row: dict, entity: str) -> str:
    """The question of `row`, about `entity`."""
    return row["question"].replace(row["entity"], entity)


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
    first, second = (embedder.embed([pair[side] for pair in pairs]) for side in (0, 1))
    return (first * second).sum(axis=1).tolist()


def _measured(embedder: "Embedder", name: str, pairs_of: Callable, statistic: Callable) -> float | str:
    try:
        pairs = pairs_of()
    except Missing as missing:
        return f"not measured: {missing}"
    data = hashlib.sha256(json.dumps(pairs).encode()).hexdigest()
    file = home() / "embedders" / f"{embedder.sha256}.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if kept.get(name, {}).get("data") != data:
        value = statistic(cosines_of(embedder, pairs), [rating for _, _, rating in pairs])
        kept[name] = {"data": data, "value": value}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        unfinished.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(file)
    value = kept[name]["value"]
    return value if math.isfinite(value) else "not measurable: it takes all these texts for equally alike"
