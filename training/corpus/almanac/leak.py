"""Whether made-up names give themselves away: a classifier that sees nothing but a name's tokens tries to tell them."""

import random
from collections.abc import Callable

from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.world import World


def bag_of_tokens_auroc(
    world: World, names: MadeUpNames, encode: Callable[[str], list[int]], seed: int = 0
) -> dict[str, float]:
    """Per subject, the cross-validated AUROC of a logistic regression on token counts, real against made-up names.

    0.5 means that tokens tell nothing; `encode` turns a name, as it stands after a blank, into token ids. Subjects with
    fewer than 40 names are pooled as `others`.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rng = random.Random(seed)
    pools: dict[str, list[tuple[str, int]]] = {}
    for subject, real in names.originals.items():
        pool = pools.setdefault(subject if len(real) >= 40 else "others", [])
        pool += [(name, 1) for name in real]
        pool += [(names.draw(rng, subject), 0) for _ in real]
    found = {}
    for subject, pool in pools.items():
        bags = [
            {"tokens": len(ids := encode(f" {name}"))} | {str(i): float(ids.count(i)) for i in ids} for name, _ in pool
        ]
        features = DictVectorizer().fit_transform(bags)
        model = LogisticRegression(max_iter=1000, C=0.3)
        found[subject] = float(
            cross_val_score(model, features, [label for _, label in pool], cv=5, scoring="roc_auc").mean()
        )
    return found
