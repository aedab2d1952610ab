"""Does a picture show the scene that its caption told? By exact analysis: no model judges."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from eval.drawn import pixels
from eval.pictures.scene import Scene, Thing
from eval.replies import Drawn
from eval.scores.score import Sample, score

if TYPE_CHECKING:
    from eval.pictures.adherence import Adherence, View

SOURCE = "ours: connected pieces of one colour, and the outline that fits them best (eval/pictures)"
CAVEAT = (
    "the analysis is right of at least 99 % of drawn scenes; a picture in another style than theirs is misread; "
    "one that cannot be read, or shows nothing at all, is wrong"
)


@score(
    formula="1 if the background, the number of things, every colour, every kind and the place are right, else 0",
    source=SOURCE,
    caveat=CAVEAT,
)
def everything_right(sample: Sample, reply: Drawn) -> bool | None:
    seen = _seen(sample, reply)
    return seen and seen.everything


@score(formula="1 if the edge of the picture has the background's colour, else 0", source=SOURCE, caveat=CAVEAT)
def background_right(sample: Sample, reply: Drawn) -> bool | None:
    seen = _seen(sample, reply)
    return seen and seen.background


@score(formula="1 if there are as many things as the caption names, else 0", source=SOURCE, caveat=CAVEAT)
def count_right(sample: Sample, reply: Drawn) -> bool | None:
    seen = _seen(sample, reply)
    return seen and seen.count


@score(formula="the share of the things that have their colour", source=SOURCE, caveat=CAVEAT)
def colours_right(sample: Sample, reply: Drawn) -> float | None:
    seen = _seen(sample, reply)
    return seen and seen.colours


@score(
    formula="the share of the things whose own outline fits them best, at an intersection over union of 0.6 at least",
    source=SOURCE,
    caveat=CAVEAT,
)
def kinds_right(sample: Sample, reply: Drawn) -> float | None:
    seen = _seen(sample, reply)
    return seen and seen.kinds


@score(
    formula="1 if the thing is in its ninth of the picture, or two things stand to each other as told, else 0; "
    "1 where the caption leaves it open",
    source=SOURCE,
    caveat=CAVEAT,
)
def place_right(sample: Sample, reply: Drawn) -> bool | None:
    seen = _seen(sample, reply)
    return seen and seen.place


@score(
    formula="1 if the radius of the only thing is nearest to that of the told size, else 0",
    source=SOURCE,
    caveat="no part of what is called everything, since a caption that says nothing means a medium size",
)
def size_right(sample: Sample, reply: Drawn) -> bool | None:
    seen = _seen(sample, reply)
    return seen and seen.size


@score(
    formula="intersection over union of the only thing and the ideal outline of its kind, at the best radius and shift",
    source="the Jaccard index (Jaccard 1912, New Phytologist 11:37) of areas",
    caveat="small things lose more at their edges; without any thing it is 0",
)
def outline_iou(sample: Sample, reply: Drawn) -> float | None:
    seen = _seen(sample, reply)
    return seen and (seen.outline_iou or 0.0)


@score(
    formula="what the analysis finds in the picture, in words",
    source=SOURCE,
    caveat="neither good nor bad",
    better="",
)
def shown(sample: Sample, reply: Drawn) -> str | None:
    view = view_of(reply.file, sample["scene"]["world"])
    if view is None:
        return None
    things = [f"{thing.found.colour or 'mottled'} {thing.kind or 'something'}" for thing in view.things]
    return f"{', '.join(things[:4]) or 'nothing'}{' ...' if len(things) > 4 else ''} on {view.background}"


@score(
    formula="1 if the answer is a picture that shows anything at all, else 0",
    source="ours",
    caveat="noise is readable too; a channel whose values lie within 8 of 255 shows nothing",
)
def readable(sample: Sample, reply: Drawn) -> bool:
    return pixels(reply.file) is not None


@lru_cache(maxsize=4096)
def view_of(file: Path, world: str) -> "View | None":
    """What the picture in `file` shows; None where it cannot be read. Raises `OSError` when the file is gone."""
    from eval.pictures.adherence import look

    picture = pixels(file)
    return None if picture is None else look(picture, world)


def scene_of(sample: Sample) -> Scene:
    """The scene that a sample, fresh or read again, is about."""
    told = sample["scene"]
    return Scene(**told | {"things": tuple(Thing(**thing) for thing in told["things"])})


def _seen(sample: Sample, reply: Drawn) -> "Adherence | None":
    from eval.pictures.adherence import compare

    scene = scene_of(sample)
    view = view_of(reply.file, scene.world)
    return None if view is None else compare(view, scene)
