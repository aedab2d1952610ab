"""How observations become a figure: printed beside what each score means, so that no number is left unexplained."""

from eval.figures import Figure
from eval.meaning import Meaning

STATISTICS = {
    "share": Meaning(
        "how many observations are 1, divided by all",
        "score interval (Wilson 1927, JASA 22:209), on the effective sample size where observations share a cluster",
        "a request without an answer is left out and counted as an error",
    ),
    "mean": Meaning(
        "the mean of the observations",
        "Student's t over clusters (Miller 2024, arXiv:2411.00640)",
        "the mean hides the few that are far off: sort the samples",
        low=None,
        high=None,
    ),
    "ratio": Meaning(
        "the sum of the values, divided by the sum of what each is set against",
        "studentised cluster bootstrap (Hall 1988, Ann. Stat. 16:927)",
        "long documents weigh more than short ones",
        low=None,
        high=None,
    ),
    "perplexity": Meaning(
        "exp of the summed values divided by the summed sizes",
        "Jelinek et al. 1977, J. Acoust. Soc. Am. 62:S63; interval as for ratios",
        "comparable across tokenizers only per byte or per character",
        better="low",
        low=1.0,
        high=None,
    ),
    "auroc": Meaning(
        "the chance that one of the first kind is ranked above one of the second, ties counting half; chance is 0.5",
        "interval by DeLong 1988, Biometrics 44:837",
        "says nothing of the threshold at which to act",
    ),
    "balanced_accuracy": Meaning(
        "the mean of the share right among each of two kinds; chance is 0.5",
        "two Wilson intervals joined (Newcombe 1998, Stat. Med. 17:873)",
        "a model that always says the same gets 0.5",
    ),
    "excess": Meaning(
        "the share among observations of one kind less that among those of a control; 0 is no effect",
        "two Wilson intervals joined (Newcombe 1998, Stat. Med. 17:873, method 10)",
        "no better than its control is like the observations in all else",
        low=-1.0,
    ),
    "ece": Meaning(
        "mean distance between confidence and share right, over 10 bins of equally many answers",
        "expected calibration error (Naeini et al. 2015; equal-mass bins as in HELM)",
        "biased upwards for few answers; depends on the bins",
        better="low",
    ),
    "aurc": Meaning(
        "the mean share wrong among the answers kept, when only the most confident are kept, over every such cut",
        "area under the risk-coverage curve (Geifman and El-Yaniv 2017, arXiv:1705.08500)",
        "mixes how often the model is right with how well it knows: read it beside the share right",
        better="low",
    ),
    "spearman": Meaning(
        "the correlation of the ranks of the values with the ranks of what they are set against",
        "Spearman 1904",
        "sees order only, not distance",
        low=-1.0,
    ),
    "spread": Meaning(
        "the mean of the best group minus that of the worst",
        "max - min over formats, as in FormatSpread (Sclar et al. 2024, arXiv:2310.11324)",
        "above zero even when no group differs: read it beside its no-effect expectation",
        better="low",
    ),
    "icat": Meaning(
        "the mean quality, times 2 * min(s, 1 - s), s being the mean share of stereotypes",
        "idealised CAT score of StereoSet (Nadeem et al. 2021, arXiv:2004.09456)",
        "mixes quality with bias: a model that chooses by chance gets one half",
    ),
    "median": Meaning(
        "half of the observations are below it",
        "order statistics",
        "as measured, under this run's own load",
        low=None,
        high=None,
    ),
    "p95": Meaning(
        "19 of 20 observations are below it",
        "order statistics",
        "fewer than 73 clusters cannot bound it from above",
        low=None,
        high=None,
    ),
}


def meaning_of(figure: Figure) -> Meaning:
    """What one observation of the figure means; where its task declares nothing, what its statistic means."""
    return figure.meaning or STATISTICS[figure.statistic]
