"""Pairs of texts, and how alike they are: by people's ratings in public sets, by construction in the project's own."""

import csv
import itertools
import random
from collections.abc import Callable, Sequence

from eval.data import Inputs, Missing, open_text, public_path, public_rows, rows
from prompts.library import FOLDER as PROMPTS

UNRELATED = PROMPTS / "probes" / "unrelated_sentences.txt"
STS_FILE = "sts_2012_2016/pairs.jsonl.xz"
"""The pairs of five years of SemEval's STS tasks: year, set, split, score, sentence1, sentence2."""
MOST_WORDINGS = 1000
Rated = tuple[str, str, float]
"""Two texts and how alike they are: a rating, 1 or 0 for the same or not, anything where nothing is compared."""


def unrelated_pairs() -> list[Rated]:
    """All pairs of sentences that were written to have nothing to do with each other."""
    sentences = UNRELATED.read_text(encoding="utf-8").splitlines()
    return [(a, b, 0.0) for a, b in itertools.combinations(sentences, 2)]


def stsb_pairs(split: str = "dev") -> list[Rated]:
    """Pairs of sentences rated by people from 0 to 5 (Cer et al. 2017, arXiv:1708.00055). Raises `Missing`."""
    packed = ".gz" if split == "train" else ""
    with open_text(public_path(f"stsb/stsb-en-{split}.csv{packed}")) as lines:
        return [(first, second, float(score)) for first, second, score in csv.reader(lines)]


def sts_pairs(year: int, name: str) -> list[Rated]:
    """The test pairs of one set of SemEval's STS tasks of 2012 to 2016, rated from 0 to 5. Raises `Missing`."""
    found = public_rows(STS_FILE)
    of_set = [row for row in found if (row["year"], row["set"], row["split"]) == (year, name, "test")]
    return [(row["sentence1"], row["sentence2"], row["score"]) for row in of_set]


def sick_pairs() -> list[Rated]:
    """The test pairs of SICK, rated from 1 to 5 (Marelli et al. 2014, LREC 2014, p. 216). Raises `Missing`."""
    with open_text(public_path("sick/SICK.txt")) as lines:
        test = [row for row in csv.DictReader(lines, delimiter="\t") if row["SemEval_set"] == "TEST"]
    return [(row["sentence_A"], row["sentence_B"], float(row["relatedness_score"])) for row in test]


def msrp_pairs(split: str = "test") -> list[Rated]:
    """Sentences of news, 1 where judges found that they mean the same (Dolan and Brockett 2005). Raises `Missing`."""
    with open_text(public_path(f"msrp/msr-para-{split}.tsv.gz")) as lines:
        cells = [line.rstrip("\r\n").split("\t") for line in lines][1:]
    return [(first, second, float(same)) for same, _, _, first, second in cells]


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
