"""Captions of real pictures: is what is drawn nearest to the real picture of its caption?"""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.drawn import opened, pixels
from eval.figures import Figure, Section, errors_in, observed
from eval.records import Record
from eval.requests import draw
from eval.scores.images import readable
from eval.scores.retrieval import NEAREST, nearest
from eval.task import Task
from eval.tasks.image_samples import CANDIDATES, captioned_pictures

if TYPE_CHECKING:
    import numpy as np


def summarise(records: Sequence[Record]) -> list[Section]:
    """Every picture among the real ones of all captions, those included that got no picture."""
    drawn = [pixels(record.reply.file) if record.status == "ok" else None for record in records]
    hits = nearest(drawn, [_real(record) for record in records])
    found = [observed(record, hit) for record, hit in zip(records, hits, strict=True) if record.status == "ok"]
    few = len(records) < CANDIDATES
    figure = Figure(
        "nearest",
        f"its caption's real picture nearest, among {CANDIDATES}",
        "share",
        found,
        errors_in(records),
        unparsed=sum(picture is None for picture in drawn) - errors_in(records),
        meaning=NEAREST,
        unmeasurable=f"only {len(records)} captions to choose from, fewer than {CANDIDATES}" if few else "",
    )
    return [Section("Captions of real pictures", [figure])]


def _real(record: Record) -> "np.ndarray":
    import numpy as np

    return np.asarray(opened(base64.b64decode(record.sample["picture"])))


CAPTIONED = Task(
    name="captioned",
    data=captioned_pictures,
    asking=draw(),
    scores=(readable,),
    figures=summarise,
    about="of a model that learnt captioned pictures: is its picture nearest to the real one of the caption?",
)
