"""Cosines of pairs of texts: by an embedder in this process, or by the vectors that an endpoint sends."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.completions import MALFORMED
from eval.replies import Compared, NoAnswer
from eval.requests import Compare

if TYPE_CHECKING:
    import numpy as np


class Comparer:
    """An embedder's folder, as the `FolderScorer` of a run. Raises `UserError` when it is none."""

    def __init__(self, folder: Path):
        from eval.embedder import load_embedder

        self._embedder = load_embedder(folder)

    def score_all(self, requests: Sequence[Compare]) -> Iterator[Compared]:
        """The replies in the order of the requests; each text is embedded once."""
        texts = list(dict.fromkeys(text for request in requests for text in (request.first, request.second)))
        vectors = dict(zip(texts, self._embedder.embed(texts), strict=True))
        for request in requests:
            yield Compared(float(vectors[request.first] @ vectors[request.second]))


def read_cosine(content: bytes, latency_s: float) -> Compared:
    """The cosine of the two vectors of an embeddings response. Raises `NoAnswer` for another shape."""
    import numpy as np

    try:
        sent = sorted(json.loads(content)["data"], key=lambda item: item["index"])
        first, second = (np.asarray(item["embedding"], float) for item in sent)
        cosine = cosine_of(first, second)
    except MALFORMED:
        raise NoAnswer("the answer is not two vectors") from None
    if not np.isfinite(cosine):
        raise NoAnswer("the vectors are not finite")
    return Compared(cosine, round(latency_s, 4))


def cosine_of(first: "np.ndarray", second: "np.ndarray") -> float:
    """0 where one of them has no length, as a text in which nothing is known."""
    import numpy as np

    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / lengths) if lengths else 0.0
