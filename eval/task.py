"""What a task is: data + prompt + variants + scores + cluster. A whole one:

from eval.data import file
from eval.requests import chat
from eval.scores.facts import right
from eval.task import Task
from eval.variants.noise import typos
from eval.variants.surface import case

TASK = Task(
    name="capitals",
    data=file("capitals.jsonl"),
    asking=chat("{question}", max_tokens=32),
    variants=(typos(0.05), case("upper")),
    scores=(right,),
)
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eval.data import Inputs
from eval.replies import Reply
from eval.requests import Asking, Request, chat
from eval.scores.score import Sample, Score, Value

if TYPE_CHECKING:
    from eval.figures import Section
    from eval.records import Record

ORIGINAL = ""
"""The variant that changes nothing; every task has it."""


@dataclass(frozen=True)
class Variant:
    """Another form of the same question. `apply` returns the changed sample, or None where there is nothing to change;
    its randomness comes from the generator it is given, which depends on the sample and the variant alone.
    """

    name: str
    apply: Callable[[Sample, random.Random], Sample | None]


@dataclass(frozen=True)
class Case:
    """One request of a task: a sample in one of its variants, asked for the `repeat`-th time."""

    task: str
    sample: Sample
    variant: str
    repeat: int
    request: Request

    @property
    def id(self) -> tuple[str, str, str, int]:
        return self.task, str(self.sample["id"]), self.variant, self.repeat


@dataclass(frozen=True)
class Task:
    """Samples are JSON objects with an "id" that no other sample of the task has, and what `asking` needs."""

    name: str
    data: Callable[[Inputs], Iterable[Sample]]
    """Raises `Missing` when the data are not here: the task is then named among what was not measured."""
    scores: Sequence[Score] | Callable[[Sample], Sequence[Score]]
    """A function where it depends on the sample which scores there are."""
    asking: Asking = field(default_factory=chat)
    variants: Sequence[Variant] = ()
    cluster: str = "id"
    """The field whose equal values make samples depend on each other; variants and repeats of one sample always do."""
    repeats: int = 1
    """How often every case is asked, each time with another seed."""
    figures: "Callable[[Sequence[Record]], list[Section]] | None" = None
    """What the records say together; default: the mean of every score, overall and by variant."""
    size: int | None = None
    """How many samples are enough unless the user says otherwise; None: all."""
    about: str = ""
    """One sentence for the report: the question that this task answers."""
    without: Mapping[str, str] = field(default_factory=dict)
    """Parts of it that cannot be asked -> why."""

    def given(self, inputs: Inputs) -> "Task":
        """The task as the user wants it; most are the same for all."""
        return self

    def scores_of(self, sample: Sample) -> Sequence[Score]:
        return self.scores(sample) if callable(self.scores) else self.scores

    def score(self, sample: Sample, reply: Reply) -> dict[str, Value]:
        """Every score of one reply."""
        return {score.name: score(sample, reply) for score in self.scores_of(sample)}

    def cases(self, samples: Iterable[Sample], plain: bool = False) -> Iterator[Case]:
        """Every request of `samples`: each in every variant that applies to it, each `repeats` times."""
        for sample in samples:
            for variant in (Variant(ORIGINAL, lambda sample, rng: sample), *self.variants):
                rng = random.Random(f"{self.name}/{sample['id']}/{variant.name}")
                changed = variant.apply(dict(sample), rng)
                if changed is not None:
                    yield from self._repeated(changed, variant.name, plain)

    def due(self, cases: "Sequence[Case]", records: "Sequence[Record]") -> "Sequence[Case]":
        """Those of its cases that are to be asked by now; a task whose next questions depend on the answers so far,
        `records`, has more of them once these are in.
        """
        return cases

    def left_out(self, records: "Sequence[Record]") -> int:
        """How many of its cases will never be due, for what the records say."""
        return 0

    def conclusion(self, records: "Sequence[Record]") -> str:
        """What the records come to, in words for those who decide; most tasks leave that to their figures."""
        return ""

    def _repeated(self, sample: Sample, variant: str, plain: bool) -> Iterator[Case]:
        for repeat in range(self.repeats):
            seeded = sample | {"seed": repeat} if self.repeats > 1 else sample
            yield Case(self.name, sample, variant, repeat, self.asking(seeded, plain))


def sampled(samples: Sequence[Any], size: int | None) -> list[Any]:
    """`size` of the samples, spread over all of them; a larger size keeps those of a smaller one."""
    if size is None or size >= len(samples):
        return list(samples)
    order = list(range(len(samples)))
    random.Random(0).shuffle(order)
    return [samples[place] for place in sorted(order[:size])]
