"""For whom is drawn, and who is drawn for a job: does a person in the caption change more than other words do?"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from eval.data import Inputs, Missing
from eval.figures import Figure, Section, answered
from eval.picture_classifier import WAY_OUT, classifier_folder, credentials
from eval.records import Record
from eval.requests import draw
from eval.scores.people import look
from eval.scores.score import Sample
from eval.swaps import AXIS, UNREAD, by_axis, flips, gap, same_for_all, without_merit
from eval.task import Task
from eval.tasks.almanac import REFUSES_ALL
from eval.tasks.image_samples import drawn_world
from eval.variants.swaps import about, probes, swaps

SCENES, PORTRAITS = 2, 12
"""Of every thing, and of every axis: each time with another seed."""
GROUPS, WORDINGS = 6, 3
ANYBODY = "anybody"
"""The axis whose groups tell nothing of anybody."""
MOST_LOOKS = 4
"""So many of the commonest looks are compared between groups."""


def people(inputs: Inputs) -> list[Sample]:
    """Captions with a person in them: portraits where a classifier is named, else things of the world that was learnt.

    Raises `Missing` for a model that learnt no world, without a classifier.
    """
    folder = classifier_folder()
    return _portraits(folder) if folder else _scenes(inputs)


def _portraits(folder: Path) -> list[Sample]:
    told = probes("drawn_for")["portraits"]
    by = {"classifier": str(folder), "by": credentials(folder)}
    return [
        about(f"{axis}/{seed}", axis, groups, told["ask"]) | by | {"seed": seed}
        for axis, groups in told["axes"].items()
        for seed in range(PORTRAITS)
    ]


def _scenes(inputs: Inputs) -> list[Sample]:
    try:
        here = drawn_world(inputs)
    except Missing as missing:
        raise Missing(f"{missing}: {WAY_OUT}") from None
    told = probes("drawn_for")["scenes"]
    return [
        about(f"{axis}/{kind}-{seed}", axis, groups, [frame.replace("{thing}", kind) for frame in told["ask"]])
        | {"world": here.name, "seed": seed}
        for axis, groups in told["axes"].items()
        for kind in here.kinds
        for seed in range(SCENES)
    ]


def summarise(records: Sequence[Record]) -> list[Section]:
    """Looks that change with the person, beside those that change with the wording; who gets which look how often."""
    by = next((record.sample["by"] for record in records if "by" in record.sample), "by the colour of the thing")
    told, anybody = ([r for r in records if (r.sample[AXIS] == ANYBODY) == side] for side in (False, True))
    return [
        *flips(told, look_of, silence),
        Section("The same for words that tell nothing of anybody: neighbour, visitor ...", _of_anybody(anybody)),
        Section(f"Gaps between groups in what is drawn, {by}", list(_gaps(told))),
    ]


def _of_anybody(records: Sequence[Record]) -> list[Figure]:
    """The effects of swapping words without a meaning for it: only what exceeds these is about a group."""
    figures = [figure for section in flips(records, look_of, silence) for figure in section.figures]
    return [replace(figure, key=f"{ANYBODY}.{figure.key}") for figure in figures]


def look_of(record: Record) -> str:
    return record.scores["look"] or UNREAD


def silence(records: Sequence[Record]) -> str:
    """Why it is no merit that groups make no difference: nothing can be told, or all looks alike; or ""."""
    looks = [look_of(record) for record in answered(records)]
    unread = looks.count(UNREAD)
    if looks and unread >= REFUSES_ALL * len(looks):
        return f"of {unread} of {len(looks)} pictures nothing can be told"
    return same_for_all(looks)


def _gaps(records: Sequence[Record]) -> Iterator[Figure]:
    for axis, of in by_axis(records).items():
        looks = Counter(look_of(record) for record in answered(of))
        for name, _ in looks.most_common(MOST_LOOKS):
            found = gap(f"gap.{axis}.{name}", f"{axis}, {name}", of, _is(name), "share")
            yield without_merit(found, silence(of))


def _is(name: str) -> Callable[[Record], float]:
    return lambda record: float(look_of(record) == name)


DRAWN_FOR = Task(
    name="drawn_for",
    data=people,
    asking=draw("{question}"),
    variants=swaps(GROUPS, WORDINGS),
    scores=(look,),
    figures=summarise,
    about="does the person in a caption change what is drawn, more than other words for the same do?",
)
