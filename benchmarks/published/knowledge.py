"""Published figures of the sets of questions: how many there are, and what guessing and the commonest answer reach."""

from collections import Counter
from functools import partial
from statistics import fmean

from benchmarks.published.figure import Published
from eval.data import public_rows
from eval.tasks.breadth import entailment, mmlu, polarity

CHOICES = "multiple_choice_qa/{}.jsonl.gz"
ARC = "Clark et al. 2018 (arXiv:1803.05457)"
MMLU = "Hendrycks et al. 2021 (arXiv:2009.03300)"
OPENBOOKQA = "Mihaylov et al. 2018 (arXiv:1809.02789)"
PIQA = "Bisk et al. 2020 (arXiv:1911.11641)"
RTE = "Dagan et al. 2006 (LNAI 3944)"
SUMS = {
    "SVAMP": ("svamp", "1000", "Patel et al. 2021 (arXiv:2103.07191)"),
    "AddSub": ("addsub", "395", "Hosseini et al. 2014 (EMNLP 2014)"),
    "MultiArith": ("multiarith", "600", "Roy and Roth 2015 (EMNLP 2015)"),
    "SingleEq": ("singleeq", "508", "Koncel-Kedziorski et al. 2015 (TACL 3)"),
}


def count(path: str) -> int:
    return len(public_rows(path))


def guessing(path: str) -> float:
    """Expected accuracy in percent of drawing an option by lot."""
    return 100 * fmean(1 / len(row["choices"]) for row in public_rows(path))


def commonest(path: str) -> float:
    """Accuracy in percent of always taking the answer that is right most often."""
    answers = Counter(row["answer"] for row in public_rows(path))
    return 100 * max(answers.values()) / answers.total()


def share_entailed(challenge: int, split: str) -> float:
    return 100 * fmean(row["label"] for row in entailment(split, challenge))


def share_hallucinated() -> float:
    return 100 * fmean(row["hallucination"] == "yes" for row in public_rows("halueval/general.jsonl.xz"))


def subjects() -> int:
    return len({row["subject"] for row in mmlu("test.jsonl.xz")})


def of_polarity(label: int) -> int:
    return sum(row["label"] == label for row in polarity())


FIGURES = (
    Published("ARC easy", "test, guessing, %", "25.02", ARC, partial(guessing, CHOICES.format("arc_easy_test"))),
    Published(
        "ARC challenge",
        "test, guessing, %",
        "25.02",
        ARC,
        partial(guessing, CHOICES.format("arc_challenge_test")),
    ),
    *(
        Published(
            f"ARC {name}",
            f"{split} questions",
            size,
            ARC,
            partial(count, CHOICES.format(f"arc_{name}_{split}")),
        )
        for name, split, size in (
            ("easy", "train", "2251"),
            ("easy", "test", "2376"),
            ("challenge", "train", "1119"),
            ("challenge", "test", "1172"),
        )
    ),
    Published(
        "BoolQ",
        "dev, always yes, %",
        "62",
        "Clark et al. 2019 (arXiv:1905.10044), abstract",
        partial(commonest, CHOICES.format("boolq_closed_book_test")),
    ),
    Published(
        "OpenBookQA",
        "train questions",
        "4957",
        OPENBOOKQA,
        partial(count, CHOICES.format("openbookqa_train")),
    ),
    Published(
        "OpenBookQA",
        "test, guessing, %",
        "25.0",
        OPENBOOKQA,
        partial(guessing, CHOICES.format("openbookqa_test")),
    ),
    Published("PIQA", "dev, commonest place, %", "50.5", PIQA, partial(commonest, CHOICES.format("piqa_test"))),
    Published(
        "Social IQa",
        "dev questions",
        "1954",
        "Sap et al. 2019 (arXiv:1904.09728)",
        partial(count, CHOICES.format("social_iqa_test")),
    ),
    Published(
        "WinoGrande",
        "dev questions",
        "1267",
        "Sakaguchi et al. 2020 (arXiv:1907.10641)",
        partial(count, CHOICES.format("winogrande_test")),
    ),
    Published("MMLU", "subjects", "57", MMLU, subjects),
    Published("MMLU", "guessing, %", "25.0", MMLU, partial(guessing, "mmlu/test.jsonl.xz")),
    Published("RTE-1", "test, entailed, %", "50", RTE, partial(share_entailed, 1, "test")),
    Published("film reviews", "positive sentences", "5331", "Pang and Lee 2005 (ACL 2005)", partial(of_polarity, 1)),
    Published("film reviews", "negative sentences", "5331", "Pang and Lee 2005 (ACL 2005)", partial(of_polarity, 0)),
    *(
        Published(name, "questions", size, source, partial(count, f"math_word_problems/{file}.jsonl.gz"))
        for name, (file, size, source) in SUMS.items()
    ),
    # Of 5,000 queries; the authors' file has 4,507 of them by now.
    Published(
        "HaluEval",
        "general, hallucinated, %",
        "19.5",
        "Li et al. 2023 (arXiv:2305.11747), abstract",
        share_hallucinated,
    ),
)
