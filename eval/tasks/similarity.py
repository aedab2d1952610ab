"""Answers set against references, by an embedder and by words alone, beside how far each of these can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from eval.data import Inputs, Missing, user_rows
from eval.embedder import NO_EMBEDDER, Embedder, default_embedder
from eval.figures import Figure, Section, answered, errors_in, observed
from eval.lexical import LEXICAL
from eval.meaning import Meaning
from eval.rated import unrelated_pairs
from eval.records import Record
from eval.requests import chat
from eval.scores import similarity as scores
from eval.scores.facts import right
from eval.scores.score import Sample
from eval.statistics import Statistic
from eval.task import Task
from eval.tasks import contrasts, yardsticks
from eval.tasks.almanac import WORDING
from eval.validity import cosines_of, mean_cosine

TELLS_RIGHT = Meaning(
    formula="the chance that an answer that states the right value lies nearer to its reference than one that does not",
    source="AUROC of similarity as a sign of being right; ours",
    caveat="0.5 is chance; being right is read from the words, so a synonym that is not listed counts as not right",
)
TRUST = (yardsticks.STS_B, yardsticks.SICK, yardsticks.MSRP, contrasts.TASK)
"""What says how far the embedder can be trusted."""


def with_references(inputs: Inputs) -> list[Sample]:
    """The exam's questions of fact, or those of a user's file that have answers. Raises `Missing`."""
    path = inputs.exam()
    if not path.exists():
        made_by = "make them with `homegrown train run almanac`, or name a file with --questions"
        raise Missing(f"there are no questions at {path}: {made_by}")
    return [row for row in user_rows(path) if row.get("answers") and row.get("group", "fact") == "fact"]


@dataclass(frozen=True)
class Nearness:
    """How near each answer lies to the nearest of its references, by one yardstick, rescaled by random pairs."""

    key: str
    label: str
    values: Sequence[float | None]
    by: str
    """Said in the caveat."""
    unmeasurable: str = ""

    def mean(self, records: Sequence[Record], errors: int) -> Figure:
        meaning, against = scores.similarity.meaning, [1.0] * len(records)
        return self._figure(self.key, "mean", records, against, errors, meaning)

    def tells_right(self, records: Sequence[Record], errors: int) -> Figure:
        against = [float(record.scores["right"]) for record in records]
        return self._figure(f"right.{self.key}", "auroc", records, against, errors, TELLS_RIGHT)

    def _figure(
        self,
        key: str,
        statistic: Statistic,
        records: Sequence[Record],
        against: Sequence[float],
        errors: int,
        meaning: Meaning,
    ) -> Figure:
        found = [
            observed(record, value, truth)
            for record, value, truth in zip(records, self.values, against, strict=True)
            if value is not None
        ]
        meaning = replace(meaning, caveat=f"{meaning.caveat}; {self.by}")
        return Figure(
            key, self.label, statistic, found, errors, unit="number", meaning=meaning, unmeasurable=self.unmeasurable
        )


def summarise(records: Sequence[Record]) -> list[Section]:
    """The answers by every yardstick, then the embedder by what is known of likeness."""
    replied, errors, embedder = answered(records), errors_in(records), default_embedder()
    found = [_by_embedder(embedder, replied), *(_by_words(name, replied) for name in LEXICAL)]
    return [
        Section("Answers set against their references", [nearness.mean(replied, errors) for nearness in found]),
        Section("Right answers told from others by that (AUROC)", [n.tells_right(replied, errors) for n in found]),
        *(section for task in TRUST if embedder for section in _trust(embedder, task)),
    ]


def _by_embedder(embedder: Embedder | None, records: Sequence[Record]) -> Nearness:
    values = [record.scores["similarity"] for record in records]
    if embedder is None:
        return Nearness("embedder", "embedder", values, NO_EMBEDDER, unmeasurable=NO_EMBEDDER)
    return Nearness("embedder", "embedder", values, embedder.credentials)


def _by_words(name: str, records: Sequence[Record]) -> Nearness:
    """By what needs no training; its frequencies are those of the answers, the references and the random pairs."""
    pairs = [(r.reply.text, reference, 0.0) for r in records for reference in r.sample["answers"]]
    unrelated = unrelated_pairs()
    yardstick = LEXICAL[name](sorted({text for pair in [*pairs, *unrelated] for text in pair[:2]}))
    baseline = mean_cosine(cosines_of(yardstick, unrelated), [])
    cosines = iter(cosines_of(yardstick, pairs))
    nearest = [max(islice(cosines, len(record.sample["answers"]))) for record in records]
    values = [(cosine - baseline) / (1 - baseline) for cosine in nearest]
    return Nearness(name, yardsticks.LABELS[name], values, f"by {yardstick.name} (random pair cosine {baseline:.2f})")


def _trust(embedder: Embedder, task: Task) -> list[Section]:
    """What the suite `embedder` says of it in this task; why it does not, where the data are not here."""
    try:
        sections = task.figures(yardsticks.answered_by(embedder, task))
    except Missing as missing:
        sections = [
            replace(section, figures=[replace(section.figures[0], unmeasurable=str(missing))])
            for section in task.figures([])
        ]
    return [section.of_task(task.name) for section in sections]


TASK = Task(
    name="similarity",
    data=with_references,
    asking=chat(max_tokens=96),
    scores=(right, scores.similarity),
    cluster=WORDING,
    figures=summarise,
    size=300,
    about="how near in meaning are the answers to their references?",
)
