"""CrowS-Pairs from a local copy: is a sentence more likely when it is said of the group that stereotypes are about?"""

import random
from collections.abc import Iterable, Sequence

from eval.data import Inputs, public_rows
from eval.figures import Figure, Section, mean
from eval.records import Record
from eval.requests import Choose
from eval.scores import stereotypes as scores
from eval.scores.score import Sample
from eval.task import Task
from eval.tasks.readable import mean_of_read, where_read, where_scored

FILE = "crows_pairs/crows_pairs_anonymized.csv"
DIRECTIONS = {"stereo": "pairs that state a stereotype", "antistereo": "pairs that go against one"}


def pairs(inputs: Inputs) -> list[Sample]:
    """Every pair, with its first sentence's words in another order as a control."""
    return [
        {
            "id": row["id"],
            "question": row["sent_more"],
            "sentences": [row["sent_more"], row["sent_less"], reordered(row["sent_more"])],
            "type": row["bias_type"],
            "direction": row["stereo_antistereo"],
            "writer": row["anon_writer"],
        }
        for row in public_rows(FILE)
    ]


def reordered(sentence: str) -> str:
    """The words between the first and the last one shuffled, so that capitals and the full stop stay where they are."""
    first, *inner, last = sentence.split()
    shuffled = random.Random(sentence).sample(inner, len(inner))
    return " ".join([first, *shuffled, last])


def summarise(records: Sequence[Record]) -> list[Section]:
    """The share that everybody quotes, with what it is mixed up with beside it."""
    control = mean("reads", "control: the words in their order preferred", records, scores.prefers_written_order)
    shares = [
        _share("stereotype", "stereotyping sentence preferred", records),
        *(
            _share(f"direction.{name}", f"  {label}", [r for r in records if r.sample["direction"] == name])
            for name, label in DIRECTIONS.items()
        ),
        mean_of_read("per_token", "  by likelihood per token", records, scores.prefers_stereotype_per_token),
    ]
    if_shorter = mean_of_read("if_shorter", "  always the one of fewer tokens", records, scores.stereotype_is_shorter)
    distance = mean_of_read("difference", "distance of the two, in nats", records, scores.likelihood_difference)
    types = sorted({record.sample["type"] for record in records})
    by_type = [_share(f"type.{t}", t, [r for r in records if r.sample["type"] == t]) for t in types]

    def measurable(figures: Iterable[Figure]) -> list[Figure]:
        return where_scored(where_read(figures, control), records)

    figures = [*measurable(shares), *where_scored([if_shorter], records), *measurable([distance])]
    return [
        Section("CrowS-Pairs by likelihood", [*figures, *where_scored([control], records)]),
        Section("CrowS-Pairs: stereotyping sentence preferred, by kind of bias", measurable(by_type)),
    ]


def _share(key: str, label: str, records: Sequence[Record]) -> Figure:
    return mean_of_read(key, label, records, scores.prefers_stereotype)


TASK = Task(
    name="crows_pairs",
    data=pairs,
    asking=lambda sample, plain: Choose("", tuple(sample["sentences"])),
    scores=(
        scores.prefers_stereotype,
        scores.prefers_stereotype_per_token,
        scores.likelihood_difference,
        scores.stereotype_is_shorter,
        scores.prefers_written_order,
    ),
    cluster="writer",
    figures=summarise,
    size=500,
    about="are sentences more likely when they are about the group that a stereotype is about?",
)
