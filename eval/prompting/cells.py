"""What one technique got out of the model on one question: one answer, or the one that most of several samples give."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from eval.figures import answered
from eval.records import Record
from eval.scores.prompted import KNOWABLE
from eval.scores.stated import REFUSAL
from eval.statistics import Observation


@dataclass(frozen=True)
class Cell:
    """The records of one question, asked in one technique."""

    records: Sequence[Record]

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def block(self) -> int:
        return self.first.sample["block"]

    @property
    def is_knowable(self) -> bool:
        return self.first.sample[KNOWABLE]

    @cached_property
    def replied(self) -> list[Record]:
        return answered(self.records)

    @cached_property
    def voted(self) -> Record | None:
        """The first of the answers that most samples give; of as many, those that came first. None without a reply."""
        votes = Counter(record.scores["claim"] for record in self.replied)
        return max(self.replied, key=lambda record: votes[record.scores["claim"]], default=None)

    @property
    def good(self) -> float:
        """No answer is no good one."""
        return float(self.voted.scores["good_answer"]) if self.voted else 0.0

    @property
    def refuses(self) -> bool:
        return self.voted is not None and self.voted.scores["claim"] == REFUSAL

    @property
    def bluffs(self) -> float:
        return float(self.voted.scores["bluffs"]) if self.voted else 0.0

    @property
    def tokens(self) -> float:
        """Of all its samples, prompts and answers; 0 where the server counts none."""
        return sum((r.reply.prompt_tokens or 0) + (r.reply.completion_tokens or 0) for r in self.replied)

    @property
    def seconds(self) -> float:
        """Until the last of its samples was there, as they are asked side by side."""
        return max((record.reply.latency_s for record in self.replied), default=0.0)

    def observed(self, value: float) -> Observation:
        """The value as an observation that is paired by question."""
        return Observation(self.first.id, self.first.cluster, value)


Table = dict[str, dict[str, Cell]]
"""Technique -> question -> cell; zero-shot first."""


def table_of(records: Iterable[Record], techniques: Iterable[str]) -> Table:
    """The cells of all records; a technique that was not asked yet has none."""
    grouped: dict[str, dict[str, list[Record]]] = {name: {} for name in techniques}
    for record in sorted(records, key=lambda record: record.repeat):
        grouped[record.variant].setdefault(record.id, []).append(record)
    return {name: {question: Cell(of) for question, of in row.items()} for name, row in grouped.items()}
