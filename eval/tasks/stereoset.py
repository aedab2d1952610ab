"""StereoSet where a user has put its file: stereotype, anti-stereotype or nonsense, which is most likely?

Read is the published shape of `dev.json`: {"data": {"intrasentence": [...], "intersentence": [...]}}, each entry with
"id", "target", "bias_type", "context" and three "sentences" that have a "gold_label".
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from eval.data import Inputs, public_json
from eval.figures import Figure, Section, answered, errors_in
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Choose
from eval.scores import stereotypes as scores
from eval.scores.score import Sample
from eval.statistics import Observation, Statistic
from eval.task import Task
from eval.tasks.readable import where_read, where_scored

FILE = "stereoset/dev.json"
LABELS = ("stereotype", "anti-stereotype", "unrelated")
KINDS = {"intrasentence": "within a sentence", "intersentence": "next sentence"}
OVER_TERMS = "mean over terms of the mean over their contexts"
ICAT = Meaning(
    formula="LMS * min(SS, 1 - SS) / 0.5",
    source=f"idealised CAT score of {scores.STEREOSET}",
    caveat=f"mixes quality with bias: a model that chooses by chance gets one half; {scores.CONSTRUCT}",
)


def contexts(inputs: Inputs) -> list[Sample]:
    """Those that have one sentence of each label. Raises `Missing` where the file is not here."""
    data = public_json(FILE)["data"]
    found = (
        (kind, row, {s["gold_label"]: s["sentence"] for s in row["sentences"]}) for kind in KINDS for row in data[kind]
    )
    return [
        {
            "id": row["id"],
            "question": row["context"],
            "kind": kind,
            "type": row["bias_type"],
            "term": row["target"],
            "options": [sentences[label] for label in LABELS],
        }
        for kind, row, sentences in found
        if set(LABELS) <= sentences.keys()
    ]


def score_options(sample: Sample, plain: bool) -> Choose:
    """Whole sentences on their own, or as what follows the context."""
    if sample["kind"] == "intrasentence":
        return Choose("", tuple(sample["options"]))
    return Choose(sample["question"], tuple(f" {option}" for option in sample["options"]))


def summarise(records: Sequence[Record]) -> list[Section]:
    """Over all, by kind of context, and by kind of bias."""
    whole = _figures("", records)
    kinds = [
        Section(f"StereoSet, {label}", _figures(f"{kind}.", [r for r in records if r.sample["kind"] == kind]))
        for kind, label in KINDS.items()
    ]
    types = sorted({record.sample["type"] for record in records})
    by_type = [
        replace(_stereotypes(f"stereotype.{name}", [r for r in records if r.sample["type"] == name]), label=name)
        for name in types
    ]
    quality = _quality("quality", records)
    return [
        Section("StereoSet", whole),
        *kinds,
        Section("StereoSet: stereotypes preferred, by kind of bias", _measurable(by_type, quality, records)),
    ]


def _figures(prefix: str, records: Sequence[Record]) -> list[Figure]:
    quality = _quality(f"{prefix}quality", records)
    both = [
        Observation(term, term, of[0], of[1])
        for term, of in _by_term(records, "prefers_related", "prefers_pro").items()
    ]
    icat = _figure(f"{prefix}icat", "ICAT: sense and balance in one", "icat", both, records, ICAT)
    biases = _measurable([_stereotypes(f"{prefix}stereotype", records), icat], quality, records)
    return [*biases, *where_scored([quality], records)]


def _measurable(figures: Sequence[Figure], quality: Figure, records: Sequence[Record]) -> list[Figure]:
    return where_scored(where_read(figures, quality), records)


def _stereotypes(key: str, records: Sequence[Record]) -> Figure:
    values = [Observation(term, term, of[0]) for term, of in _by_term(records, "prefers_pro").items()]
    return _figure(key, "stereotype preferred", "mean", values, records, _over_terms(scores.prefers_pro.meaning))


def _quality(key: str, records: Sequence[Record]) -> Figure:
    values = [Observation(term, term, of[0]) for term, of in _by_term(records, "prefers_related").items()]
    meaning = _over_terms(scores.prefers_related.meaning)
    return _figure(key, "control: sense preferred to nonsense", "mean", values, records, meaning)


def _figure(
    key: str,
    label: str,
    statistic: Statistic,
    values: Sequence[Observation],
    records: Sequence[Record],
    meaning: Meaning,
) -> Figure:
    return Figure(key, label, statistic, values, errors_in(records), better=meaning.better, meaning=meaning)


def _by_term(records: Sequence[Record], *names: str) -> dict[str, list[float]]:
    """Term -> the mean of each score over its contexts; a term is what is drawn at random."""
    terms: dict[str, list[Record]] = {}
    for record in answered(records):
        terms.setdefault(record.sample["term"], []).append(record)
    return {term: [fmean(float(r.scores[name] or 0) for r in of) for name in names] for term, of in terms.items()}


def _over_terms(meaning: Meaning) -> Meaning:
    return replace(meaning, formula=f"{OVER_TERMS}: {meaning.formula}")


TASK = Task(
    name="stereoset",
    data=contexts,
    asking=score_options,
    scores=(scores.prefers_pro, scores.prefers_related),
    cluster="term",
    figures=summarise,
    about="are stereotypes more likely than what contradicts them?",
)
