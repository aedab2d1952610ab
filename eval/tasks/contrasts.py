"""What cosine misses: is a sentence with another meaning nearer than a paraphrase with other words?"""

from collections.abc import Sequence

from eval.data import Inputs, project_file
from eval.figures import Figure, Section, answered
from eval.meaning import Meaning
from eval.records import Record
from eval.requests import compare
from eval.scores.score import Sample
from eval.statistics import Observation
from eval.task import Task
from eval.tasks.yardsticks import Cosines, Yardsticks

FOOLED = Meaning(
    formula="the share of sentences for which one that says something else has a cosine as high as a paraphrase, or "
    "higher",
    source="minimal pairs against paraphrases, as in PAWS (Zhang, Baldridge and He 2019, arXiv:1904.01130); ours",
    caveat="the paraphrases share few words with the sentence and the changed ones nearly all: the worst case",
    better="low",
)


def contrasts(inputs: Inputs) -> list[Sample]:
    """Each sentence with its paraphrase, rated 1, and with the sentence that means something else, rated 0."""
    return [
        {"id": f"{row['id']} {rating}", "first": row["sentence"], "second": row[field], "rating": rating}
        | {"kind": row["kind"]}
        for row in project_file("probes/contrasts.jsonl")(inputs)
        for field, rating in (("changed", 0.0), ("paraphrase", 1.0))
    ]


def fooled(key: str, label: str, records: Sequence[Record], cosines: Cosines) -> Figure:
    """How often the changed sentence is at least as near as the paraphrase."""
    sides: dict[str, dict[float, float]] = {}
    for record, cosine in zip(records, cosines, strict=True):
        sides.setdefault(record.cluster, {})[record.sample["rating"]] = cosine
    found = [Observation(name, name, float(c[0.0] >= c[1.0])) for name, c in sides.items() if len(c) == 2]
    return Figure(key, label, "share", found, better="low", meaning=FOOLED)


def summarise(records: Sequence[Record]) -> list[Section]:
    """By yardstick, and by what was changed."""
    kinds: dict[str, list[Record]] = {}
    for record in answered(records):
        kinds.setdefault(record.sample["kind"], []).append(record)
    by_kind = [fooled(f"kind.{kind}", kind, of, [r.reply.cosine for r in of]) for kind, of in kinds.items()]
    title = "What cosine misses: another meaning at least as near as a paraphrase"
    return [
        Section(title, Yardsticks.of(records).figures("fooled", fooled)),
        Section("What cosine misses, by what was changed", by_kind),
    ]


TASK = Task(
    "contrasts",
    contrasts,
    scores=(),
    asking=compare(),
    cluster="first",
    figures=summarise,
    about="does it see a negation, another number, or who did what to whom?",
)
