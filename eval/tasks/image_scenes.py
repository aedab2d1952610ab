"""Pictures of scenes: does each show everything that its caption says, of known and of held-out pairs?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from eval.figures import Figure, Section, answered, errors_in, mean, means, observed, worst
from eval.records import Record
from eval.requests import draw
from eval.scores import images as scores
from eval.scores.images import everything_right, outline_iou, size_right
from eval.scores.retrieval import RETRIEVAL, finds_caption
from eval.scores.score import Sample, Score
from eval.sensitivity import by_variant, drops
from eval.task import ORIGINAL, Task
from eval.tasks.image_samples import CANDIDATES, held_out_scenes, in_held_out_wording, in_synonyms, known_scenes

PARTS = (scores.background_right, scores.count_right, scores.colours_right, scores.kinds_right, scores.place_right)


def scores_of(sample: Sample) -> Sequence[Score]:
    """Only a single thing has a size and an outline of its own."""
    told = [everything_right, *PARTS]
    told += [size_right] if sample["scene"]["size"] else []
    told += [outline_iou] if len(sample["scene"]["things"]) == 1 else []
    return (*told, scores.shown)


def is_right(record: Record) -> bool:
    """Whether the picture shows everything; one that cannot be read does not."""
    return bool(record.scores["everything_right"])


def summarise_known(records: Sequence[Record]) -> list[Section]:
    """Adherence and retrieval of captions as trained, and what other words for the same scenes cost."""
    as_trained = [record for record in records if record.variant == ORIGINAL]
    return [
        *_adherence(as_trained, "Known pairs of colour and kind"),
        Section("Captions retrieved by their pictures", [_retrieval(as_trained)]),
        Section("The same scenes in other words: everything right", by_variant(everything_right, records, "reworded.")),
        Section("What other words cost, scene by scene (below zero: they help)", drops(everything_right, records)),
    ]


def summarise_held_out(records: Sequence[Record]) -> list[Section]:
    """Adherence where the first thing has a colour that training never showed it in, and the worst of such pairs."""
    pairs = worst("everything_right.pair", records, is_right, _first_pair, 5)
    return [*_adherence(records, "Held-out pairs of colour and kind"), Section("The worst held-out pairs", pairs)]


def _adherence(records: Sequence[Record], title: str) -> list[Section]:
    (everything,) = means((everything_right,), by="kind")(records)
    parts = [mean(score.name, score.name.replace("_", " "), records, score) for score in (*PARTS, size_right)]
    return [replace(everything, title=f"{title}: everything right"), Section(f"{title}: what is right", parts)]


def _retrieval(records: Sequence[Record]) -> Figure:
    """Every picture among the captions of all; not measurable where there are too few of these to choose from."""
    found = [observed(record, hit) for record, hit in _found(records)]
    few = len(records) < CANDIDATES
    return Figure(
        "retrieval",
        f"right caption among {CANDIDATES}",
        "share",
        found,
        errors_in(records),
        meaning=RETRIEVAL,
        unmeasurable=f"only {len(records)} captions to choose from, fewer than {CANDIDATES}" if few else "",
    )


def _found(records: Sequence[Record]) -> Iterator[tuple[Record, bool]]:
    for record in answered(records):
        others = [other.sample for other in records if other is not record]
        yield record, finds_caption(record.reply, record.sample, others)


def _first_pair(record: Record) -> str:
    first = record.sample["scene"]["things"][0]
    return f"{first['colour']} {first['kind']}"


KNOWN = Task(
    name="scenes",
    data=known_scenes,
    asking=draw(),
    variants=(in_held_out_wording(), in_synonyms()),
    scores=scores_of,
    figures=summarise_known,
    about="does a picture show everything that its caption says, also in words that were not trained on?",
)
HELD_OUT = Task(
    name="held_out",
    data=held_out_scenes,
    asking=draw(),
    scores=scores_of,
    figures=summarise_held_out,
    about="the same where the first thing has a colour that training never showed it in",
)
