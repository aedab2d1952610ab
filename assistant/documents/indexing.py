"""Gives passages their vectors in the background, also after a restart and when the embedder is another one."""

import asyncio
import logging
from contextlib import suppress

from sqlalchemy import exists, or_, select, update

from assistant.tables import Document, Passage
from serving.database import Database
from serving.embedding_engine import EmbeddingEngine
from serving.errors import UserError

BATCH = 256

log = logging.getLogger(__name__)


class Indexing:
    """One task at a time, which ends when every passage has its vector."""

    def __init__(self, database: Database, embedder: EmbeddingEngine) -> None:
        self._database, self._embedder = database, embedder
        self._task: asyncio.Task[None] | None = None
        self._woken = False

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._woken = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def settled(self) -> None:
        """Wait until there is nothing to do."""
        if self._task:
            await self._task

    async def close(self) -> None:
        """Stop; what is missing is done at the next start."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _work(self) -> None:
        while self._woken:
            self._woken = False
            try:
                while await self._embed_some():
                    pass
                await self._mark_ready()
            except UserError as error:  # a broken embedder: words are found all the same
                log.error("Documents are searched by their words only: %s", error)

    async def _embed_some(self) -> bool:
        """Whether there was something to do."""
        name = self._embedder.model_name
        async with self._database.reading() as session:
            missing = select(Passage.number, Passage.text).where(_lacks(name)).order_by(Passage.number).limit(BATCH)
            rows = (await session.execute(missing)).all()
        if not rows:
            return False
        vectors = (await self._embedder.embed([row.text for row in rows])).vectors
        async with self._database.session() as session:
            values = [
                {"number": row.number, "embedding": vector.tobytes(), "embedder": name}
                for row, vector in zip(rows, vectors, strict=True)
            ]
            await session.execute(update(Passage), values)
        return True

    async def _mark_ready(self) -> None:
        lacking = exists().where(Passage.document_id == Document.id, _lacks(self._embedder.model_name))
        async with self._database.session() as session:
            done = update(Document).where(Document.state == "indexing", ~lacking).values(state="ready")
            await session.execute(done.execution_options(synchronize_session=False))


def _lacks(embedder: str) -> object:
    return or_(Passage.embedder.is_(None), Passage.embedder != embedder)
