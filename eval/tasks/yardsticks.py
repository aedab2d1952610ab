"""How well an embedder tells likeness of meaning, beside what needs no training: pairs whose likeness is known.

The model asked is an embedder. `answered_by` has the same answers from the one that a run of another model uses.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eval.data import Inputs, public_rows
from eval.figures import Figure, Section, answered, errors_in, observed, share
from eval.lexical import LEXICAL
from eval.meaning import Meaning
from eval.rated import STS_FILE, Rated, msrp_pairs, sick_pairs, stsb_pairs, unrelated_pairs, wording_pairs
from eval.records import Record
from eval.replies import Compared
from eval.requests import compare
from eval.scores.score import Sample
from eval.statistics import Statistic
from eval.task import Task, sampled
from eval.validity import cosines_of, kept_cosines

if TYPE_CHECKING:
    from eval.embedder import Embedder

STS_YEARS = (2012, 2013, 2014, 2015, 2016)
LABELS = {"tf_idf": "  TF-IDF", "word_vectors": "  averaged word vectors", "bag_of_words": "  bag of words"}
TOLD = "; what needs no training has its words and frequencies from the very texts that are compared"
RANKS = Meaning(
    formula="Spearman's rank correlation of the cosines with people's ratings",
    source="as in sentence-transformers (Reimers and Gurevych 2019, arXiv:1908.10084)",
    caveat=f"says nothing of how far apart two cosines must be to matter{TOLD}",
    low=-1.0,
)
APART = Meaning(
    formula="the chance that a pair that means the same has a higher cosine than one that does not (AUROC)",
    source="area under the ROC curve (Hanley and McNeil 1982, Radiology 143:29)",
    caveat=f"0.5 is chance{TOLD}",
)
AT_THRESHOLD = Meaning(
    formula="the share of pairs rightly called paraphrases or not, by the threshold that is best on the split val",
    source="Dolan and Brockett 2005 (IWP 2005); accuracy as it is published for MSRP",
    caveat=f"calling every pair a paraphrase has the value shown beside it{TOLD}",
)
UNRELATED = Meaning(
    formula="mean cosine of sentences that have nothing to do with each other",
    source="the baseline by which BERTScore is rescaled (Zhang et al. 2020, arXiv:1904.09675)",
    caveat="a cosine means nothing before this is taken from it",
    better="",
    low=-1.0,
)
Cosines = Sequence[float]
Summarise = Callable[[Sequence[Record]], list[Section]]
Make = Callable[[str, str, Sequence[Record], Cosines], Figure]
"""Key, label, the compared records, and their cosines by one yardstick -> its figure."""


def as_samples(pairs: Sequence[Rated], prefix: str = "", **fields: str | int) -> list[Sample]:
    """The pairs with ids that begin with `prefix`, and these fields."""
    return [
        {"id": f"{prefix}{number}", "first": first, "second": second, "rating": rating} | fields
        for number, (first, second, rating) in enumerate(pairs, 1)
    ]


def sts(inputs: Inputs) -> list[Sample]:
    """The test pairs of five years."""
    return [
        {"id": row["id"], "first": row["sentence1"], "second": row["sentence2"], "rating": row["score"]}
        | {"year": row["year"]}
        for row in public_rows(STS_FILE)
        if row["split"] == "test"
    ]


def msrp(inputs: Inputs) -> list[Sample]:
    """The pairs of test, and those of val that a threshold is chosen by."""
    return [s for split in ("val", "test") for s in as_samples(msrp_pairs(split), f"{split} ", split=split)]


def answered_by(embedder: "Embedder", task: Task) -> list[Record]:
    """What the task's records would be, were they asked of `embedder`. Raises `Missing`."""
    samples = sampled(list(task.data(Inputs())), task.size)
    cosines = kept_cosines(embedder, [rated(sample) for sample in samples])
    return [
        Record(task.name, f"{task.name} {sample['id']}", "", 0, sample[task.cluster], "", sample, "ok", reply=reply)
        for sample, reply in zip(samples, map(Compared, cosines), strict=True)
    ]


def rated(sample: Sample) -> Rated:
    return sample["first"], sample["second"], sample["rating"]


@dataclass(frozen=True)
class Yardsticks:
    """Compared records, and their cosines by the embedder that was asked and by what needs no training."""

    records: Sequence[Record]
    cosines: dict[str, Cosines]
    """"" is the embedder's own."""
    errors: int

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Yardsticks":
        compared = answered(records)
        pairs = [rated(record.sample) for record in compared]
        texts = sorted({text for pair in pairs for text in pair[:2]})
        cosines = {"": [record.reply.cosine for record in compared]}
        cosines |= {name: cosines_of(learn(texts), pairs) if texts else [] for name, learn in LEXICAL.items()}
        return cls(compared, cosines, errors_in(records))

    def only(self, field: str, value: str | int) -> "Yardsticks":
        """Those whose samples have this value."""
        kept = [place for place, record in enumerate(self.records) if record.sample[field] == value]
        cosines = {name: [found[place] for place in kept] for name, found in self.cosines.items()}
        return Yardsticks([self.records[place] for place in kept], cosines, self.errors)

    def figures(self, key: str, make: Make) -> list[Figure]:
        """One of each; requests without a reply are counted with the embedder."""
        own = replace(make(key, "embedder", self.records, self.cosines[""]), errors=self.errors)
        return [own, *(make(f"{key}.{n}", LABELS[n], self.records, self.cosines[n]) for n in LEXICAL)]


def against_ratings(statistic: Statistic, meaning: Meaning) -> Make:
    """Cosines set against the ratings."""

    def make(key: str, label: str, records: Sequence[Record], cosines: Cosines) -> Figure:
        found = [observed(r, c, r.sample["rating"]) for r, c in zip(records, cosines, strict=True)]
        return Figure(key, label, statistic, found, unit="number", better=meaning.better, meaning=meaning)

    return make


def right_at_threshold(key: str, label: str, records: Sequence[Record], cosines: Cosines) -> Figure:
    """Accuracy on the split test, by the threshold that is best on the split val."""
    pairs = list(zip(records, cosines, strict=True))
    chosen_by = [(cosine, r.sample["rating"]) for r, cosine in pairs if r.sample["split"] == "val"]
    threshold = best_threshold(chosen_by)
    judged = [
        observed(r, (cosine >= threshold) == bool(r.sample["rating"]))
        for r, cosine in pairs
        if r.sample["split"] == "test"
    ]
    return Figure(key, label, "share", judged if chosen_by else [], meaning=AT_THRESHOLD)


def best_threshold(rated_cosines: Sequence[tuple[float, float]]) -> float:
    """From which cosine on to say yes (rating 1), so that most are right."""
    right = most = 0
    threshold = math.inf
    for cosine, rating in sorted(rated_cosines, reverse=True):
        right += 1 if rating else -1
        if right > most:
            most, threshold = right, cosine
    return threshold


def by_people(title: str) -> Summarise:
    make = against_ratings("spearman", RANKS)
    return lambda records: [Section(title, Yardsticks.of(records).figures("spearman", make))]


def by_year(records: Sequence[Record]) -> list[Section]:
    yardsticks, make = Yardsticks.of(records), against_ratings("spearman", RANKS)
    return [
        Section(
            f"STS {year} against people (Spearman)", yardsticks.only("year", year).figures(f"{year}.spearman", make)
        )
        for year in STS_YEARS
    ]


def same_or_not(title: str) -> Summarise:
    make = against_ratings("auroc", APART)
    return lambda records: [Section(title, Yardsticks.of(records).figures("auroc", make))]


def paraphrases(records: Sequence[Record]) -> list[Section]:
    """AUROC and accuracy on the split test, and what always saying yes would reach."""
    yardsticks = Yardsticks.of(records)
    test = yardsticks.only("split", "test")
    always = share(
        "always_yes", "always yes", test.records, lambda r: bool(r.sample["rating"]), better="", meaning=AT_THRESHOLD
    )
    title = "MSRP: paraphrases told from others"
    return [
        Section(f"{title} (AUROC)", test.figures("auroc", against_ratings("auroc", APART))),
        Section(f"{title} (accuracy)", [*yardsticks.figures("accuracy", right_at_threshold), always]),
    ]


def unrelated(records: Sequence[Record]) -> list[Section]:
    make = against_ratings("mean", UNRELATED)
    return [Section("Cosine of unrelated sentences", Yardsticks.of(records).figures("mean", make))]


def _task(name: str, data: Callable, figures: Summarise, about: str, size: int | None = None) -> Task:
    return Task(name, data, scores=(), asking=compare(), cluster="first", figures=figures, size=size, about=about)


STS_B = _task(
    "stsb",
    lambda inputs: as_samples(stsb_pairs("test")),
    by_people("STS-B test against people (Spearman)"),
    "do its cosines rank pairs of sentences as people do?",
)
SICK = _task(
    "sick",
    lambda inputs: as_samples(sick_pairs()),
    by_people("SICK test against people (Spearman)"),
    "do its cosines rank pairs of simple sentences as people do?",
    size=2000,
)
STS = _task("sts", sts, by_year, "do its cosines rank the pairs of the STS tasks of 2012 to 2016 as people do?", 2000)
MSRP = _task("msrp", msrp, paraphrases, "can it tell paraphrases in the news from sentences that look like them?")
WORDINGS = _task(
    "almanac_wordings",
    lambda inputs: as_samples(wording_pairs()),
    same_or_not("Wordings of one question told from other questions (AUROC)"),
    "can it tell a rewording of the almanac's questions from another question?",
)
RANDOM_PAIRS = _task(
    "random_pairs",
    lambda inputs: as_samples(unrelated_pairs()),
    unrelated,
    "how alike does it find sentences that have nothing to do with each other?",
)
