"""Does a model that makes things up contradict itself? One greedy answer against samples of the same question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from eval.data import Inputs
from eval.figures import Figure, Section, errors_in, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Request, chat
from eval.scores.almanac import fact_outcome
from eval.scores.score import Sample
from eval.scores.selfcheck import MEANINGS, embedding_inconsistency, semantic_entropy, unigram
from eval.scores.stated import stated
from eval.task import Task, sampled
from eval.tasks.almanac import WORDING, questions, with_values
from eval.tasks.confidence import (
    LENGTH,
    Confidence,
    brevity,
    confidence_figures,
    coverage_figures,
    is_given,
    is_wrong,
)

SAMPLES = 10
"""As many as Farquhar et al. 2024 draw, at their temperature of 1."""
FEWEST = 5
"""Samples that must have a reply, or the question is left out."""
LIKELIHOOD = Meaning(
    formula="-(mean log-probability of the greedy answer's tokens)",
    source="length-normalised likelihood (Malinin and Gales 2021, arXiv:2002.07650)",
    caveat="needs log-probabilities, but no samples: what sampling has to beat",
)
LONGER = replace(LENGTH, formula="the number of words of the answer")
DETECTION = "the chance that a wrong answer has more of this than a right one: "


@dataclass(frozen=True)
class Checked:
    """A greedy answer with the samples of the same question."""

    answer: Record
    samples: Sequence[Record]

    @property
    def text(self) -> str:
        return self.answer.reply.text

    @property
    def sampled_texts(self) -> list[str]:
        return [sample.reply.text for sample in self.samples]

    @cached_property
    def entropy(self) -> float:
        return semantic_entropy([sample.scores["stated"] for sample in self.samples])


def known_and_withheld(inputs: Inputs) -> list[Sample]:
    """As many known facts as there are withheld attributes, each with all values of its relation in the exam."""
    exam = questions(inputs)
    facts, withheld = ([q for q in exam if q["group"] == group] for group in ("fact", "withheld_attribute"))
    return with_values(sampled(facts, len(withheld)) + withheld, facts + withheld)


def greedy_then_sampled(sample: Sample, plain: bool) -> Request:
    """Repeat 0 is the answer as anybody gets it; the others are samples at temperature 1, each with its seed."""
    if sample["seed"]:
        return chat(temperature=1, top_p=1)(sample, plain)
    return chat()({name: value for name, value in sample.items() if name != "seed"}, plain)


def summarise(records: Sequence[Record]) -> list[Section]:
    """How well each sign of self-contradiction tells wrong answers from right ones, with the baselines beside."""
    checked = [check for check in _checked(records) if is_given(check.answer)]
    return [
        Section("Answers that were checked", coverage_figures([record for record in records if record.repeat == 0])),
        Section("Wrong answers found by self-contradiction (AUROC)", _detectors(checked, errors_in(records))),
        Section("Self-consistency as a confidence", _confidence(checked)),
    ]


TASK = Task(
    name="selfcheck",
    data=known_and_withheld,
    asking=greedy_then_sampled,
    scores=(fact_outcome, stated),
    cluster=WORDING,
    repeats=1 + SAMPLES,
    figures=summarise,
    size=150,
    about=f"does the model contradict itself where it is wrong? One greedy answer and {SAMPLES} samples a question",
)


def _checked(records: Sequence[Record]) -> list[Checked]:
    replied: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.repeat):
        if record.status == "ok":
            replied.setdefault(record.id, []).append(record)
    return [Checked(first, rest) for first, *rest in replied.values() if first.repeat == 0 and len(rest) >= FEWEST]


def _detectors(checked: Sequence[Checked], errors: int) -> list[Figure]:
    ngrams = [unigram(check.text, check.sampled_texts) for check in checked]
    scored = {
        "unigram_max": ("SelfCheckGPT, unigram max", [n and n.max for n in ngrams], MEANINGS["unigram_max"]),
        "unigram_mean": ("SelfCheckGPT, unigram mean", [n and n.mean for n in ngrams], MEANINGS["unigram_mean"]),
        "entropy": ("semantic entropy", [check.entropy for check in checked], MEANINGS["semantic_entropy"]),
        "improbability": ("no samples: improbability", [_improbability(c.answer) for c in checked], LIKELIHOOD),
        "length": ("baseline: length of the answer", [-brevity(c.answer) for c in checked], LONGER),
    }
    figures = [_auroc(key, label, checked, values, errors, meaning) for key, (label, values, meaning) in scored.items()]
    return [*figures[:3], _by_embedding(checked, errors), *figures[3:]]


def _by_embedding(checked: Sequence[Checked], errors: int) -> Figure:
    from eval.embedder import NO_EMBEDDER, default_embedder

    embedder, label, meaning = default_embedder(), "SelfCheckGPT, embeddings", MEANINGS["embedding"]
    if embedder is None:
        return replace(_auroc("embedding", label, [], [], errors, meaning), unmeasurable=NO_EMBEDDER)
    meaning = replace(meaning, caveat=f"{meaning.caveat}; {embedder.credentials}")
    texts, samples = [check.text for check in checked], [check.sampled_texts for check in checked]
    values = embedding_inconsistency(texts, samples, embedder.embed) if checked else []
    return _auroc("embedding", label, checked, values, errors, meaning)


def _auroc(
    key: str, label: str, checked: Sequence[Checked], values: Sequence[float | None], errors: int, meaning: Meaning
) -> Figure:
    found = [
        observed(check.answer, value, against=is_wrong(check.answer))
        for check, value in zip(checked, values, strict=True)
        if value is not None
    ]
    meaning = replace(meaning, formula=DETECTION + meaning.formula)
    return Figure(f"{key}.auroc", label, "auroc", found, errors, unit="number", better=meaning.better, meaning=meaning)


def _confidence(checked: Sequence[Checked]) -> list[Figure]:
    by_id = {check.answer.id: 1 - check.entropy for check in checked}
    consistency = Confidence(
        "consistency",
        "consistency",
        formula="1 - semantic entropy / ln N (Farquhar et al. 2024, Nature 630:625)",
        caveat=MEANINGS["semantic_entropy"].caveat,
        value=lambda record: by_id[record.id],
    )
    return confidence_figures([check.answer for check in checked], consistency)


def _improbability(answer: Record) -> float | None:
    mean = answer.reply.logprob_mean
    return None if mean is None else -mean
