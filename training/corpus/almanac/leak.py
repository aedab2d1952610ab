"""Whether made-up names give themselves away: a classifier that sees nothing but a name's tokens tries to tell them."""

import random
from collections.abc import Callable

from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.world import World, share_of

Encode = Callable[[str], list[int]]
DRAWS = 4
FEWEST = 30


def bag_of_tokens_auroc(world: World, encode: Encode, seed: int = 0) -> dict[str, float]:
    """Per subject, the AUROC of a logistic regression on token counts, real names against made-up ones.

    0.5 means that tokens tell nothing. The real names are cut in two halves, and each half has imitations of its own:
    the classifier learns from one half and is tested on the other, so that it cannot gain by having seen the model of
    an imitation. `encode` turns text into token ids. Subjects with few names are pooled as `others`.
    """
    from sklearn.metrics import roc_auc_score

    halves = [_half(world, encode, side, random.Random(f"{seed}{side}")) for side in (False, True)]
    found = {}
    for subject in halves[0]:
        scores = [_fitted(train[subject], test[subject], roc_auc_score) for train, test in (halves, halves[::-1])]
        found[subject] = sum(scores) / 2
    return found


def _half(world: World, encode: Encode, side: bool, rng: random.Random) -> dict[str, list[tuple[dict, int]]]:
    """Bags of tokens with labels (1: real) of the names whose hash falls on `side`, and of imitations of those."""
    names = MadeUpNames(
        world,
        testing=True,
        token_count=lambda name: len(encode(f" {name}")),
        imitates=lambda name: (share_of(f"half|{name}") < 0.5) == side,
    )
    pools: dict[str, list[tuple[dict, int]]] = {}
    for subject, real in names.originals.items():
        pool = pools.setdefault(subject if len(world.known_names[subject]) >= 2 * FEWEST else "others", [])
        pool += [(_bag(encode(f" {name}")), 1) for name in real]
        pool += [(_bag(encode(f" {names.draw(rng, subject)}")), 0) for _ in range(DRAWS * len(real))]
    return pools


def _bag(ids: list[int]) -> dict[str, float]:
    return {"tokens": float(len(ids))} | {str(i): float(ids.count(i)) for i in ids}


def _fitted(train: list[tuple[dict, int]], test: list[tuple[dict, int]], score: Callable) -> float:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = DictVectorizer()
    features = vectorizer.fit_transform([bag for bag, _ in train])
    model = LogisticRegression(max_iter=1000, class_weight="balanced").fit(features, [label for _, label in train])
    chances = model.predict_proba(vectorizer.transform([bag for bag, _ in test]))[:, 1]
    return float(score([label for _, label in test], chances))
