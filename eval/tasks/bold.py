"""BOLD from a local copy: does how a text about people goes on depend on who they are?"""

import random
from collections.abc import Sequence
from dataclasses import replace

from eval.data import Inputs, public_json
from eval.figures import Figure, Section, answered, errors_in, mean, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Request, chat
from eval.scores.score import Sample, Score
from eval.scores.swaps import length, says_nothing
from eval.scores.tone import tone
from eval.swaps import SAME_FOR_ALL
from eval.task import Task
from prompts.library import probe

DOMAINS = {
    "gender": "gender",
    "race": "race",
    "religious_ideology": "religion",
    "political_ideology": "political ideology",
    "profession": "profession",
}
"""Files of the set, and what their groups differ in."""
PER_GROUP = 12
SCORES = {"tone": tone, "refused": says_nothing, "words": length}
REFUSES_ALL = f"at least {SAME_FOR_ALL:.0%} of the answers refuse"
TONELESS = "no answer has a word with a tone"
BOLD = "BOLD (Dhamala et al. 2021, arXiv:2101.11718)"
SPREAD = Meaning(
    formula="mean of the group with the highest mean less that of the group with the lowest",
    source=f"gaps between groups of {BOLD}, there by VADER, toxicity and regard instead of our scores",
    caveat="noise alone makes a gap: read the lower end of its interval, which is 0 where chance would do; beginnings "
    "of Wikipedia articles differ in more than the group",
    better="low",
    high=None,
)


def beginnings(inputs: Inputs) -> list[Sample]:
    """Of every group equally many beginnings of sentences, of as many different people or things as there are."""
    return [
        {
            "id": f"{domain}/{group}/{number}",
            "question": beginning.strip(),
            "domain": DOMAINS[domain],
            "group": group.replace("_", " "),
            "about": f"{group}/{about}",
        }
        for domain in DOMAINS
        for group, subjects in public_json(f"bold/{domain}_prompt.json.gz").items()
        for number, (about, beginning) in enumerate(_spread_out(group, subjects))
    ]


def _spread_out(group: str, subjects: dict[str, list[str]]) -> list[tuple[str, str]]:
    """(subject, beginning), one of each subject in a random order before any second one."""
    rng = random.Random(group)
    order = rng.sample(sorted(subjects), len(subjects))
    depth = max(map(len, subjects.values()))
    listed = ((name, subjects[name][place]) for place in range(depth) for name in order if place < len(subjects[name]))
    return [entry for entry, _ in zip(listed, range(PER_GROUP), strict=False)]


def go_on(sample: Sample, plain: bool) -> Request:
    """Asked for in a chat, which every server has."""
    return chat(probe("continue"), max_tokens=48, tools=False)(sample, plain)


def summarise(records: Sequence[Record]) -> list[Section]:
    """The gaps between the groups of a domain, then every group's means."""
    domains = {record.sample["domain"]: [] for record in records}
    for record in records:
        domains[record.sample["domain"]].append(record)
    why = _says_nothing(records)
    gaps = [
        _gap(f"gap.{name}.{_key(domain)}", f"{domain}: {name}", members, score, why[name])
        for domain, members in domains.items()
        for name, score in SCORES.items()
    ]
    overall = [replace(mean(name, name, records, score), unmeasurable=why[name]) for name, score in SCORES.items()]
    by_group = [
        Section(f"BOLD: {name}, by {domain}", _means(f"{name}.{_key(domain)}", score, members, why[name]))
        for domain, members in domains.items()
        for name, score in SCORES.items()
    ]
    return [Section("BOLD: gaps between groups", [*gaps, *overall]), *by_group]


def _gap(key: str, label: str, records: Sequence[Record], score: Score, why: str) -> Figure:
    values = [observed(r, r.scores[score.name], group=r.sample["group"]) for r in answered(records)]
    unit = "share" if score is says_nothing else "number"
    meaning = replace(SPREAD, caveat=f"{SPREAD.caveat}; {score.meaning.caveat}")
    return Figure(
        key, label, "spread", values, errors_in(records), better="low", unit=unit, meaning=meaning, unmeasurable=why
    )


def _means(prefix: str, score: Score, records: Sequence[Record], why: str) -> list[Figure]:
    groups = {record.sample["group"]: [] for record in records}
    for record in records:
        groups[record.sample["group"]].append(record)
    return [
        replace(mean(f"{prefix}.{_key(group)}", group, members, score), unmeasurable=why)
        for group, members in groups.items()
    ]


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _says_nothing(records: Sequence[Record]) -> dict[str, str]:
    """Why no gap in a score is no merit, by its name; "" where it is one."""
    given = answered(records)
    refusing = sum(record.scores["says_nothing"] for record in given)
    refuses_all = REFUSES_ALL if given and refusing >= SAME_FOR_ALL * len(given) else ""
    toneless = TONELESS if given and not any(record.scores["tone"] for record in given) else ""
    return {"tone": refuses_all or toneless, "refused": refuses_all, "words": refuses_all}


TASK = Task(
    name="bold",
    data=beginnings,
    asking=go_on,
    scores=tuple(SCORES.values()),
    cluster="about",
    figures=summarise,
    about="does how a text about people goes on depend on who they are?",
)
