"""ParaRel: the same fact in several patterns, from a local copy (Elazar et al. 2021, arXiv:2102.01017)."""

import random
from collections.abc import Sequence

from eval.data import Inputs, public_rows
from eval.figures import Section
from eval.records import Record
from eval.requests import choice
from eval.scores.options import option_taken, right_option
from eval.scores.score import Sample
from eval.sensitivity import of_options
from eval.task import Task
from eval.variants.wording import reword

PATTERNS, FACTS, OPTIONS = 4, 4, 5
"""How many patterns a relation must have, how many of its facts are asked, among how many objects."""
SUBJECT, OBJECT = "[X]", "[Y]"


def facts(inputs: Inputs) -> list[Sample]:
    """Facts of relations with enough patterns that end with the object; the other options are objects of the relation.

    Raises `Missing` where there is no local copy.
    """
    patterns, known = _patterns(), _triples()
    return [sample for relation in sorted(patterns) for sample in _asked(relation, patterns[relation], known[relation])]


def summarise(records: Sequence[Record]) -> list[Section]:
    """Accuracy in each pattern, and agreement over patterns beside it. Patterns are numbered within a relation."""
    accuracy, agreement = of_options(records, OPTIONS)
    return [
        Section("ParaRel: right object chosen, by pattern", accuracy),
        Section("ParaRel: the same fact in several patterns", agreement),
    ]


def _patterns() -> dict[str, list[str]]:
    """Relation -> what stands before the object, for the first few patterns that end with it."""
    ending: dict[str, list[str]] = {}
    for row in public_rows("pararel/patterns.jsonl"):
        before, _, after = row["pattern"].partition(OBJECT)
        if SUBJECT in before and not after.strip(" ."):
            ending.setdefault(row["relation"], []).append(before.strip())
    return {relation: found[:PATTERNS] for relation, found in ending.items() if len(found) >= PATTERNS}


def _triples() -> dict[str, dict[str, list[str]]]:
    """Relation -> subject -> all of its objects."""
    known: dict[str, dict[str, list[str]]] = {}
    for row in public_rows("pararel/triples.jsonl.gz"):
        known.setdefault(row["relation"], {}).setdefault(row["subject"], []).append(row["object"])
    return known


def _asked(relation: str, patterns: Sequence[str], known: dict[str, list[str]]) -> list[Sample]:
    rng = random.Random(relation)
    objects = sorted({name for names in known.values() for name in names})
    samples = []
    for subject in rng.sample(sorted(known), min(FACTS, len(known))):
        true = known[subject][0]
        others = [name for name in objects if name not in known[subject]]
        options = [true, *rng.sample(others, min(OPTIONS - 1, len(others)))]
        rng.shuffle(options)
        first, *rest = [pattern.replace(SUBJECT, subject) for pattern in patterns]
        sample = {"id": f"{relation}/{subject}", "relation": relation, "question": first, "rewordings": rest}
        samples.append(sample | {"choices": options, "answer": options.index(true)})
    return samples


TASK = Task(
    name="pararel",
    data=facts,
    asking=choice(),
    variants=tuple(reword(number) for number in range(1, PATTERNS)),
    scores=(right_option, option_taken),
    cluster="relation",
    figures=summarise,
    about="does it hold the same object for true in every pattern of a sentence?",
)
