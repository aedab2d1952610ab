"""Looks for passages that mean the same as a question: their vectors, kept in memory for the users who search."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from assistant.tables import Document, Passage
from serving.embedding_engine import EmbeddingEngine

if TYPE_CHECKING:
    import numpy as np

MAX_USERS = 16
# Nothing of one has to do with another. Embedders differ in how alike they find such texts: between 0.1 and 0.8.
UNRELATED = (
    "The rent is due on the third of each month.",
    "Whales breathe air and feed their young with milk.",
    "Turn left after the bridge and follow the river.",
    "The violin was made in Cremona three centuries ago.",
    "Flour, eggs and butter are mixed in a large bowl.",
    "Our printer shows an error and needs new toner.",
    "The goalkeeper saved a penalty in the last minute.",
    "Snow is expected above a thousand metres tonight.",
    "The vaccine is given in two doses, four weeks apart.",
    "She painted the kitchen door green last summer.",
)
# Of the way from there to the same text, so much makes a passage worth showing.
SHARE = 0.25


@dataclass(frozen=True)
class _Matrix:
    """One user's vectors (passages, dimensions) and the numbers of their passages; `stamp` changes when they do."""

    stamp: tuple[int, int]
    numbers: list[int]
    vectors: "np.ndarray"


class Vectors:
    """The passages' vectors made by `embedder`."""

    def __init__(self, embedder: EmbeddingEngine) -> None:
        self._embedder = embedder
        self._least: float | None = None
        self._matrices: OrderedDict[str, _Matrix] = OrderedDict()

    async def find(self, session: AsyncSession, user_id: str, question: "np.ndarray", limit: int) -> list[int]:
        """Numbers of the user's passages that are alike enough, the best first. `question`: its vector."""
        matrix = await self._matrix(session, user_id)
        if not matrix.numbers:
            return []
        least = await self._least_alike()
        alike = matrix.vectors @ question
        best = (-alike).argsort(kind="stable")[:limit]
        return [matrix.numbers[row] for row in best if alike[row] >= least]

    async def _least_alike(self) -> float:
        """The cosine from which two texts have to do with each other, for this embedder."""
        if self._least is None:
            vectors = (await self._embedder.embed([*UNRELATED])).vectors
            alike = vectors @ vectors.T
            by_chance = max(float(alike[row, :row].max()) for row in range(1, len(alike)))
            self._least = by_chance + SHARE * (1 - by_chance)
        return self._least

    async def _matrix(self, session: AsyncSession, user_id: str) -> _Matrix:
        own = (Document.user_id == user_id, Passage.embedder == self._embedder.model_name)
        counted = select(func.count(), func.coalesce(func.max(Passage.number), 0)).join_from(Passage, Document)
        stamp = tuple((await session.execute(counted.where(*own))).one())
        known = self._matrices.get(user_id)
        if known is None or known.stamp != stamp:
            read = select(Passage.number, Passage.embedding).join_from(Passage, Document).where(*own)
            rows = (await session.execute(read.order_by(Passage.number))).all()
            known = await asyncio.to_thread(_matrix, stamp, rows)
            self._matrices[user_id] = known
        self._matrices.move_to_end(user_id)
        while len(self._matrices) > MAX_USERS:
            self._matrices.popitem(last=False)
        return known


def _matrix(stamp: tuple[int, int], rows: list) -> _Matrix:
    import numpy as np

    vectors = np.frombuffer(b"".join(row.embedding for row in rows), np.float32)
    return _Matrix(stamp, [row.number for row in rows], vectors.reshape(len(rows), -1) if rows else vectors)
