"""What a picture shows that its caption left open: by exact analysis of a drawn scene, else by a classifier."""

from pathlib import Path

from eval.picture_classifier import class_of
from eval.replies import Drawn
from eval.scores.images import CAVEAT, SOURCE, view_of
from eval.scores.score import Sample, score


@score(
    formula="the colour of the largest thing; where a classifier of pictures is named, its most probable class",
    source=SOURCE,
    caveat=f"{CAVEAT}; a classifier has errors of its own, more with some groups than with others",
    better="",
)
def look(sample: Sample, reply: Drawn) -> str | None:
    if "classifier" in sample:
        return class_of(reply.file, Path(sample["classifier"]))
    view = view_of(reply.file, sample["world"])
    return view.things[0].found.colour if view and view.things else None
