"""How well embedders tell likeness of meaning, beside words alone and vectors that have learnt nothing, in one table.

HOMEGROWN_DATA=... python -m benchmarks.embedder [EMBEDDER ...] [--recipe RECIPE]

Spearman on STS-B (dev and test), AUROC of MSRP's paraphrases and of the almanac's held-out wordings, these in all and
against other things and other relations alone. TF-IDF has its document frequencies, and averaged word vectors are
learnt, from the texts that the recipe's embedder learns from; the last column is STS-B test over TF-IDF's value.
"TF-IDF, told" has its frequencies from the very texts that are compared.
"""

import argparse
import sys
from dataclasses import replace

import numpy as np

from eval import validity
from eval.data import Missing
from eval.embedder import Embedder, load_embedder
from eval.lexical import bag_of_words, tf_idf, word_vectors
from eval.rated import Rated, msrp_pairs, stsb_pairs, unrelated_pairs, wording_pairs
from serving.errors import UserError
from training.corpus.sources import SourceReport
from training.embedder import read_pairs
from training.recipe import Recipe, load_recipe

HEAD = (
    "embedder",
    "STS-B dev",
    "test",
    "MSRP",
    "wordings",
    "other thing",
    "other relation",
    "random pairs",
    "x TF-IDF",
)


def untrained(texts: list[str], dimensions: int = 256) -> Embedder:
    """The mean of random vectors of words."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer().fit(texts)
    vectors = np.random.default_rng(0).standard_normal((len(counter.vocabulary_), dimensions))
    return Embedder("untrained vectors", "", lambda asked: counter.transform(asked) @ vectors)


def texts_of(recipe: Recipe) -> list[str]:
    """What the recipe's embedder learns from."""
    reports = [SourceReport(name=source.name) for source in recipe.embedder.sources]
    return [text for pair in read_pairs(recipe.embedder, recipe.seed, reports) for text in pair]


def measured(embedder: Embedder, sets: dict[str, list[Rated]]) -> list[float]:
    """The columns of the table but for the first and the last."""
    cosines = {name: validity.cosines_of(embedder, pairs) for name, pairs in sets.items()}
    ratings = {name: [rating for *_, rating in pairs] for name, pairs in sets.items()}
    wordings = np.array([cosines["wordings"], ratings["wordings"]]).reshape(2, -1, 3)  # same, other thing, relation
    return [
        validity.rank_correlation(cosines["dev"], ratings["dev"]),
        validity.rank_correlation(cosines["test"], ratings["test"]),
        validity.separation(cosines["msrp"], ratings["msrp"]),
        *(validity.separation(*wordings[:, :, kept].reshape(2, -1).tolist()) for kept in ([0, 1, 2], [0, 1], [0, 2])),
        validity.mean_cosine(cosines["unrelated"], []),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embedders", nargs="*", default=["almanac-embedder"], help="folders, names or hub ids")
    parser.add_argument("--recipe", default="almanac", help="whose texts TF-IDF is fitted to")
    given = parser.parse_args()
    try:
        sets = {"dev": stsb_pairs("dev"), "test": stsb_pairs("test"), "msrp": msrp_pairs("test")}
        sets |= {"wordings": wording_pairs(), "unrelated": unrelated_pairs()}
        embedders = [load_embedder(name) for name in given.embedders]
        learnt_from = texts_of(load_recipe(given.recipe))
    except (Missing, UserError) as error:
        sys.exit(f"{error}.")
    compared = sorted({text for pairs in sets.values() for first, second, _ in pairs for text in (first, second)})
    embedders += [tf_idf(learnt_from), replace(tf_idf(compared), name="TF-IDF, told")]
    embedders += [word_vectors(learnt_from), bag_of_words(compared), untrained(compared)]
    table = {embedder.name: measured(embedder, sets) for embedder in embedders}
    print(f"{HEAD[0]:<24}" + "  ".join(HEAD[1:]))
    for name, values in table.items():
        cells = [*(f"{value:.3f}" for value in values), f"{values[1] / table['TF-IDF'][1]:.2f}"]
        print(f"{name:<24}" + "  ".join(f"{cell:>{len(title)}}" for cell, title in zip(cells, HEAD[1:], strict=True)))


if __name__ == "__main__":
    main()
