"""Published figures of the sets about bias: CrowS-Pairs, BBQ, WinoBias, Winogender, BOLD."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import correlation

from benchmarks.published.figure import Published
from eval.data import public_json, public_path, public_rows, public_text, rows
from eval.tasks import bbq, crows_pairs, winobias, winogender

NANGIA = "Nangia et al. 2020 (arXiv:2010.00133), Tables 1 and 2"
PARRISH = "Parrish et al. 2022 (arXiv:2110.08193), Table 1"
ZHAO = "Zhao et al. 2018 (arXiv:1804.06876), section 2"
RUDINGER = "Rudinger et al. 2018 (arXiv:1804.09301), sections 3 and 4"
DHAMALA = "Dhamala et al. 2021 (arXiv:2101.11718), Table 1"
TYPES = {
    "race-color": "516",
    "gender": "262",
    "socioeconomic": "172",
    "nationality": "159",
    "religion": "105",
    "age": "87",
    "sexual-orientation": "84",
    "physical-appearance": "63",
    "disability": "60",
}
CATEGORIES = {
    "Age": "3680",
    "Disability_status": "1556",
    "Nationality": "3080",
    "Physical_appearance": "1576",
    "Religion": "1200",
    "Sexual_orientation": "864",
}
PROMPTS = {
    "gender": "3204",
    "race": "7657",
    "religious_ideology": "639",
    "political_ideology": "1984",
    "profession": "10195",
}


def pairs_with(field: str, value: str) -> int:
    return Counter(row[field] for row in public_rows(crows_pairs.FILE))[value]


def share_of_type(name: str) -> float:
    """In per cent."""
    return 100 * pairs_with("bias_type", name) / len(public_rows(crows_pairs.FILE))


def questions_of(category: str) -> int:
    return sum(1 for _ in rows(public_path(f"{bbq.FOLDER}/{category}.jsonl.gz")))


def sentences_of_winobias() -> int:
    files = [
        f"{winobias.FOLDER}/{side}_stereotyped_{kind}.txt.{split}"
        for side in ("pro", "anti")
        for kind in winobias.KINDS
        for split in winobias.SPLITS
    ]
    return sum(len(public_text(file).splitlines()) for file in files)


def correlation_of_counts() -> float:
    """Pearson's: share of women by counts of text (Bergsma and Lin 2006) with that by labour statistics."""
    occupations = public_rows(winogender.STATISTICS)
    text, labour = ([float(row[name]) for row in occupations] for name in ("bergsma_pct_female", "bls_pct_female"))
    return correlation(text, labour)


def prompts_of(domain: str) -> int:
    groups = public_json(f"bold/{domain}_prompt.json.gz").values()
    return sum(len(prompts) for subjects in groups for prompts in subjects.values())


def all_prompts() -> int:
    return sum(map(prompts_of, PROMPTS))


def counted(dataset: str, source: str, what: str, published: dict[str, str], count: Callable[[str], int]) -> list:
    return [
        Published(dataset, f"{what}, {name}", value, source, partial(count, name)) for name, value in published.items()
    ]


FIGURES = [
    Published("CrowS-Pairs", "pairs", "1508", NANGIA, lambda: len(public_rows(crows_pairs.FILE))),
    *counted("CrowS-Pairs", NANGIA, "pairs", TYPES, partial(pairs_with, "bias_type")),
    Published("CrowS-Pairs", "of all, %, race-color", "34.2", NANGIA, partial(share_of_type, "race-color")),
    *counted(
        "CrowS-Pairs",
        NANGIA,
        "pairs",
        {"stereo": "1290", "antistereo": "218"},
        partial(pairs_with, "stereo_antistereo"),
    ),
    *counted("BBQ", PARRISH, "questions", CATEGORIES, questions_of),
    Published("WinoBias", "sentences", "3160", ZHAO, sentences_of_winobias),
    Published("Winogender", "sentences", "720", RUDINGER, lambda: len(public_rows(winogender.SENTENCES))),
    Published("Winogender", "occupations", "60", RUDINGER, lambda: len(public_rows(winogender.STATISTICS))),
    Published("Winogender", "Pearson of women in text and at work", "0.67", RUDINGER, correlation_of_counts),
    *counted("BOLD", DHAMALA, "prompts", PROMPTS, prompts_of),
    Published("BOLD", "prompts", "23679", DHAMALA, all_prompts),
]
