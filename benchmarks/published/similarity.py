"""Published figures of the sets of sentence pairs: STS 2012 to 2015, the STS benchmark, MSRP."""

import math
from functools import partial
from statistics import correlation, fmean

from benchmarks.published.figure import Published
from eval.rated import msrp_pairs, sts_pairs, stsb_pairs

ORGANISERS = {
    2012: "Agirre et al. 2012 (SemEval-2012 Task 6), token cosine baseline",
    2013: "Agirre et al. 2013 (*SEM 2013 shared task), token cosine baseline",
    2014: "Agirre et al. 2014 (SemEval-2014 Task 10), token cosine baseline",
    2015: "Agirre et al. 2015 (SemEval-2015 Task 2), token cosine baseline",
}
WORDS_SHARED = {
    (2012, "MSRpar"): "0.4334",
    (2012, "SMTeuroparl"): "0.4542",
    (2012, "OnWN"): "0.5864",
    (2012, "SMTnews"): "0.3908",
    (2013, "headlines"): "0.5399",
    (2013, "OnWN"): "0.2828",
    (2013, "FNWN"): "0.2146",
    (2014, "deft-forum"): "0.353",
    (2014, "deft-news"): "0.596",
    (2014, "headlines"): "0.510",
    (2014, "images"): "0.513",
    (2014, "OnWN"): "0.406",
    (2014, "tweet-news"): "0.654",
    (2015, "answers-forums"): "0.4453",
    (2015, "answers-students"): "0.6647",
    (2015, "belief"): "0.6517",
    (2015, "headlines"): "0.5312",
    (2015, "images"): "0.6039",
}
MEANS = {2014: "0.507", 2015: "0.5871"}
"""Over all pairs of the year, each set's correlation weighted by its pairs; of years whose sets are all here."""
BENCHMARK = "Cer et al. 2017 (arXiv:1708.00055)"
PARAPHRASES = "Dolan and Brockett 2005 (IWP 2005)"
ALL_ALIKE = "Socher et al. 2011 (NIPS 24), baseline of all paraphrases"


def shared_words(first: str, second: str) -> float:
    """The cosine of vectors with a 1 for each word of the sentence, words being what blanks part."""
    words, others = set(first.split()), set(second.split())
    return len(words & others) / math.sqrt(len(words) * len(others))


def correlation_of_shared_words(year: int, name: str) -> float:
    """Pearson's, with the ratings of people."""
    first, second, ratings = zip(*sts_pairs(year, name), strict=True)
    return correlation(list(map(shared_words, first, second)), ratings)


def mean_of_year(year: int) -> float:
    names = [name for of, name in WORDS_SHARED if of == year]
    sizes = [len(sts_pairs(year, name)) for name in names]
    return fmean([correlation_of_shared_words(year, name) for name in names], sizes)


def benchmark_size(*splits: str) -> int:
    return sum(len(stsb_pairs(split)) for split in splits)


def paraphrases(*splits: str) -> list[bool]:
    """Whether each pair of these splits was judged to mean the same."""
    return [same for split in splits for _, _, same in msrp_pairs(split)]


def accuracy_of_yes(*splits: str) -> float:
    """In per cent, of calling every pair a paraphrase."""
    return 100 * fmean(paraphrases(*splits))


def f1_of_yes(*splits: str) -> float:
    """In per cent: all are found, and as many of those named are right as there are."""
    precision = fmean(paraphrases(*splits))
    return 100 * 2 * precision / (precision + 1)


FIGURES = [
    *(
        Published(
            f"STS {year}",
            f"Pearson of shared words, {name}",
            value,
            ORGANISERS[year],
            partial(correlation_of_shared_words, year, name),
        )
        for (year, name), value in WORDS_SHARED.items()
    ),
    *(
        Published(f"STS {year}", "the same, mean by pairs", value, ORGANISERS[year], partial(mean_of_year, year))
        for year, value in MEANS.items()
    ),
    *(
        Published("STS-B", f"pairs, {split}", size, BENCHMARK, partial(benchmark_size, split))
        for split, size in {"train": "5749", "dev": "1500", "test": "1379"}.items()
    ),
    Published("MSRP", "pairs, train", "4076", PARAPHRASES, lambda: len(paraphrases("train", "val"))),
    Published("MSRP", "  of them paraphrases", "2753", PARAPHRASES, lambda: sum(paraphrases("train", "val"))),
    Published("MSRP", "pairs, test", "1725", PARAPHRASES, lambda: len(paraphrases("test"))),
    Published("MSRP", "  of them paraphrases", "1147", PARAPHRASES, lambda: sum(paraphrases("test"))),
    Published("MSRP", "paraphrases of all, %", "67", PARAPHRASES, partial(accuracy_of_yes, "train", "val", "test")),
    Published("MSRP", "always yes: accuracy on test, %", "66.5", ALL_ALIKE, partial(accuracy_of_yes, "test")),
    Published("MSRP", "always yes: F1 on test, %", "79.9", ALL_ALIKE, partial(f1_of_yes, "test")),
]
