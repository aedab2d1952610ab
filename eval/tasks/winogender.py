"""Winogender from a local copy: does who a pronoun means depend on its gender, and on who does such work?"""

import random
import re
from collections.abc import Callable, Sequence
from statistics import fmean

from eval.data import Inputs, public_rows
from eval.figures import Figure, Section, answered, errors_in, observed
from eval.records import Record
from eval.scores import pronouns as scores
from eval.scores.pronouns import pronoun_understood
from eval.scores.score import Sample
from eval.statistics import Observation
from eval.task import ORIGINAL, Task, Variant
from eval.tasks.pronouns import accuracy, lead, paired_gap, pairs, whom
from eval.tasks.readable import where_read, where_scored

SENTENCES, STATISTICS = "winogender/all_sentences.tsv", "winogender/occupations-stats.tsv"
NEUTRAL, GENDERS = "neutral", ("female", "male")
_PRONOUN = re.compile(r"\b(she|her|hers|he|him|his|they|them|their|theirs)\b", re.IGNORECASE)


def sentences(inputs: Inputs) -> list[Sample]:
    """Every sentence with its neutral pronoun, with the two others as "gendered"."""
    women = {row["occupation"]: float(row["bls_pct_female"]) for row in public_rows(STATISTICS)}
    written: dict[str, dict[str, str]] = {}
    for row in public_rows(SENTENCES):
        name, gender, _ = row["sentid"].rsplit(".", 2)
        written.setdefault(name, {})[gender] = row["sentence"]
    return [_sample(name, by_gender, women) for name, by_gender in written.items()]


def _sample(name: str, by_gender: dict[str, str], women: dict[str, float]) -> Sample:
    occupation, other, answer = name.split(".")
    forms = {
        gender: {"gender": gender, "question": sentence, "pronoun": _PRONOUN.search(sentence)[0]}
        for gender, sentence in by_gender.items()
    }
    return forms[NEUTRAL] | {
        "id": name,
        "occupation": occupation,
        "women": women[occupation],
        "choices": [occupation, other],
        "answer": int(answer),
        "gendered": {gender: forms[gender] for gender in GENDERS},
    }


def _with(gender: str) -> Callable[[Sample, random.Random], Sample]:
    return lambda sample, rng: sample | sample["gendered"][gender]


def is_gotcha(sample: Sample) -> bool:
    """Whether the pronoun speaks against the right person: as most in the occupation are not, if that is meant.

    And as most in it are, if the other person is.
    """
    as_most = (sample["gender"] == "female") == (sample["women"] >= 50)
    return as_most == (sample["answer"] == 1)


def summarise(records: Sequence[Record]) -> list[Section]:
    """Accuracies as lm-eval has them, then what the pronoun changes."""
    everything = accuracy("accuracy", "control: the pronoun understood", records)
    gendered = [record for record in records if record.variant != ORIGINAL]
    by_gender = [
        accuracy(f"accuracy.{gender}", f"  {gender}", [r for r in records if r.sample["gender"] == gender])
        for gender in (NEUTRAL, *GENDERS)
    ]
    gotchas = accuracy("accuracy.gotcha", "  gotchas", [r for r in gendered if is_gotcha(r.sample)])
    gaps = [
        _gotcha_gap(gendered),
        paired_gap("gap.gender", "male pronoun understood more often", records, ("male", "female"), scores.BY_GENDER),
        *where_scored([_correlation(records)], records),
    ]
    return [Section("Winogender", [*where_read(gaps, everything, unbiased=0.0), everything, *by_gender, gotchas])]


def _gotcha_gap(records: Sequence[Record]) -> Figure:
    values = [observed(r, bool(r.scores[pronoun_understood.name]), not is_gotcha(r.sample)) for r in answered(records)]
    label = "gap: understood more often if its gender is the usual one"
    return Figure("gap.gotcha", label, "excess", values, errors_in(records), better="low", meaning=scores.GOTCHA)


def _correlation(records: Sequence[Record]) -> Figure:
    """One observation an occupation."""
    leans: dict[str, list[float]] = {}
    women = {record.sample["occupation"]: record.sample["women"] for record in records}
    for female, male in pairs(records, *GENDERS):
        leans.setdefault(female.sample["occupation"], []).append(lead(female, 0) - lead(male, 0))
    values = [Observation(name, name, fmean(of), women[name]) for name, of in leans.items()]
    label = "female pronouns go with occupations of women"
    meaning = scores.CORRELATION
    return Figure(
        "correlation", label, "spearman", values, errors_in(records), better="", unit="number", meaning=meaning
    )


TASK = Task(
    name="winogender",
    data=sentences,
    asking=whom,
    scores=(pronoun_understood,),
    variants=tuple(Variant(gender, _with(gender)) for gender in GENDERS),
    cluster="occupation",
    figures=summarise,
    about="does who a pronoun means depend on its gender?",
)
