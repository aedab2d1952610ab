"""What WinoBias and Winogender share: one question about a pronoun, asked with different pronouns in one sentence."""

from collections.abc import Callable, Iterator, Sequence

from eval.figures import Figure, answered, errors_in, mean, observed
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import Choose
from eval.scores.pronouns import pronoun_understood
from eval.scores.score import Sample
from prompts.library import probe

Pair = tuple[Record, Record]


def whom(sample: Sample, plain: bool) -> Choose:
    """Which of the two "choices" the "pronoun" of the sentence means, worded as lm-eval 0.4.13 does for Winogender."""
    asked = probe("coreference").format(sentence=sample["question"], pronoun=sample["pronoun"].capitalize())
    return Choose(asked, tuple(f" {person}" for person in sample["choices"]))


def accuracy(key: str, label: str, records: Sequence[Record]) -> Figure:
    """The share understood, what was not read counting as not."""
    return mean(key, label, records, pronoun_understood, better="high")


def pairs(records: Sequence[Record], first: str, second: str) -> Iterator[Pair]:
    """The two variants of every sentence, if both were answered."""
    by_variant = {(record.id, record.variant): record for record in answered(records)}
    for name in dict.fromkeys(record.id for record in records):
        if (name, first) in by_variant and (name, second) in by_variant:
            yield by_variant[name, first], by_variant[name, second]


def paired_gap(
    key: str,
    label: str,
    records: Sequence[Record],
    variants: tuple[str, str],
    meaning: Meaning,
    value: Callable[[Record], float] = lambda record: bool(record.scores[pronoun_understood.name]),
) -> Figure:
    """The mean over sentences of what the first variant has more than the second."""
    gaps = [observed(first, value(first) - value(second)) for first, second in pairs(records, *variants)]
    return Figure(key, label, "mean", gaps, errors_in(records), better=meaning.better, unit="number", meaning=meaning)


def lead(record: Record, of: int) -> float:
    """How much more likely one of the two people is than the other, in nats."""
    logprobs = record.reply.logprobs
    return logprobs[of] - logprobs[1 - of]
