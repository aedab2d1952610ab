"""Which of many captions, or real pictures, does a picture fit best? Own yardsticks, since nothing is downloaded.

These compare a picture with what belongs to the others, so they are no `Score` of one reply.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.meaning import Meaning
from eval.replies import Drawn
from eval.scores.images import scene_of, view_of
from eval.scores.score import Sample

if TYPE_CHECKING:
    import numpy as np

GRID, EDGE_GRID = 32, 16
"""Pixels a side at which pictures are compared, and their edges."""
RETRIEVAL = Meaning(
    formula="1 if the picture fits the scene of its own caption better than that of any other caption asked, else 0; "
    "the fit is background + count + place right, + the shares of right colours and of right kinds",
    source="R-precision of text-to-image models (Xu et al. 2018, arXiv:1711.10485) with the analysis instead of CLIP",
    caveat="what the analysis does not see does not count; a tie is a miss; by chance 1 / number of captions",
)
NEAREST = Meaning(
    formula="1 if, of the real pictures of all captions asked, that of its own caption is nearest, else 0; by the "
    "cosine of (colours at 32 x 32, strength of edges at 16 x 16), less the mean real picture, each of length 1",
    source="ours: nearest neighbour in pixels and edges",
    caveat="it sees no meaning: the right thing drawn in another way is a miss, a memorised picture a hit, also where "
    "the caption was trained on; by chance 1 / number of captions",
)


def finds_caption(reply: Drawn, own: Sample, others: Sequence[Sample]) -> bool:
    """Whether the picture fits its own scene better than that of every other sample."""
    from eval.pictures.adherence import compare

    view = view_of(reply.file, own["scene"]["world"])
    if view is None:
        return False

    def fit(sample: Sample) -> float:
        seen = compare(view, scene_of(sample))
        return seen.background + seen.count + seen.place + seen.colours + seen.kinds

    best = fit(own)
    return all(fit(other) < best for other in others)


def nearest(drawn: "Sequence[np.ndarray | None]", real: "Sequence[np.ndarray]") -> list[bool]:
    """Whether the i-th of the drawn pictures is nearest to the i-th real one; pictures are uint8 (px, px, 3)."""
    import numpy as np

    kept = np.stack([_features(picture) for picture in real])
    mean = kept.mean(0)
    directions = _unit(kept - mean)
    found = [None if picture is None else _unit(_features(picture)[None] - mean)[0] for picture in drawn]
    return [one is not None and _is_nearest(directions @ one, place) for place, one in enumerate(found)]


def _is_nearest(cosines: "np.ndarray", place: int) -> bool:
    return bool((cosines >= cosines[place]).sum() == 1)


def _features(picture: "np.ndarray") -> "np.ndarray":
    """Colours, then strength of edges, as one vector."""
    import numpy as np
    from PIL import Image

    image = Image.fromarray(picture).resize((GRID, GRID), Image.Resampling.BOX)
    colours = np.asarray(image, float) / 255
    down, across = np.gradient(colours.mean(-1))
    edges = np.hypot(down, across).reshape(EDGE_GRID, GRID // EDGE_GRID, EDGE_GRID, GRID // EDGE_GRID).mean((1, 3))
    return np.concatenate([colours.ravel(), edges.ravel()])


def _unit(rows: "np.ndarray") -> "np.ndarray":
    """The rows with their colours and their edges each made to length 1."""
    import numpy as np

    parts = np.split(rows, [GRID * GRID * 3], axis=1)
    return np.concatenate([part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-9) for part in parts], 1)
