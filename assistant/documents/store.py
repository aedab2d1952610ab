"""The documents that users give: kept, cut into passages, and searched by words and by meaning together."""

import asyncio
import hashlib
import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, func, insert, select

from assistant.documents import reading
from assistant.documents.full_text import find_words
from assistant.documents.indexing import Indexing
from assistant.documents.passages import pieces
from assistant.documents.vectors import Vectors
from assistant.tables import Document
from assistant.tables import Passage as PassageRow
from serving.api.errors import ApiError
from serving.database import Database
from serving.embedding_engine import EmbeddingEngine

MAX_BYTES = 32 * 2**20
MAX_DOCUMENTS = 1000
MAX_PASSAGES = 50_000
MAX_NAME = 120
# Reading takes minutes at worst, and everything else needs threads as well.
READ_AT_ONCE = 2
CANDIDATES = 50
# Reciprocal rank fusion with the constant of Cormack, Clarke and Büttcher (2009).
RANK_CONSTANT = 60


@dataclass(frozen=True)
class Passage:
    """A piece of a document that was found."""

    id: str
    document_id: str
    document: str
    place: str
    text: str
    score: float


class Documents:
    """The documents in `database`; their files lie in `folder`, named by SHA-256.

    An async context manager, for one event loop: without `embedder` only words are searched.
    """

    def __init__(self, database: Database, folder: Path, embedder: EmbeddingEngine | None = None) -> None:
        self._database, self._folder, self._embedder = database, folder, embedder
        self._vectors = Vectors(embedder) if embedder else None
        self.indexing = Indexing(database, embedder) if embedder else None
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def __aenter__(self) -> "Documents":
        if self.indexing:
            self.indexing.wake()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.indexing:
            await self.indexing.close()

    async def add(self, user_id: str, name: str, data: bytes) -> Document:
        """Keep a file. Its words can be searched at once, its meaning when its state is "ready".

        The same file under the same name is kept once. Raises `ApiError` for what is too much or cannot be read.
        """
        name = _plain_name(name)
        kind = reading.media_type(name)
        if len(data) > MAX_BYTES:
            raise _too_large(f"A document may have {MAX_BYTES // 2**20} MiB at most.")
        digest = hashlib.sha256(data).hexdigest()
        before = await self.list(user_id)
        if known := next((own for own in before if (own.name, own.sha256) == (name, digest)), None):
            return known
        if len(before) >= MAX_DOCUMENTS:
            raise _too_large(f"There may be {MAX_DOCUMENTS} documents at most: delete some.")
        async with self._reading:
            cut = await asyncio.to_thread(lambda: pieces(reading.read(kind, data)))
        if len(cut) > MAX_PASSAGES:
            raise _too_large("This document is too long to be searched: divide it.")
        document = Document(user_id=user_id, name=name, media_type=kind, sha256=digest, bytes=len(data))
        document.state = "indexing" if self.indexing else "ready"
        async with self._database.session() as session:
            session.add(document)
            await session.flush()
            rows = [
                {"document_id": document.id, "position": position, "place": piece.place, "text": piece.text}
                for position, piece in enumerate(cut)
            ]
            await session.execute(insert(PassageRow), rows)
        await self._keep(document, data)
        if self.indexing:
            self.indexing.wake()
        return document

    async def delete(self, user_id: str, document_id: str) -> None:
        """Forget a document; its file goes when no other has it. Raises `ApiError` 404."""
        async with self._database.session() as session:
            found = delete(Document).where(Document.id == document_id, Document.user_id == user_id)
            digest = await session.scalar(found.returning(Document.sha256))
            if digest is None:
                raise ApiError(404, "There is no such document.", code="document_not_found")
            if not await session.scalar(select(func.count()).where(Document.sha256 == digest)):
                (self._folder / digest).unlink(missing_ok=True)

    async def search(self, user_id: str, query: str, limit: int = 4) -> list[Passage]:
        """The user's passages that have to do with `query`, the best first; none when none has."""
        vector = (await self._embedder.embed([query])).vectors[0] if self._embedder else None
        async with self._database.reading() as session:
            rankings = [await find_words(session, user_id, query, CANDIDATES)]
            if self._vectors:
                rankings.append(await self._vectors.find(session, user_id, vector, CANDIDATES))
            scores = fused(rankings)
            best = list(scores)[:limit]
            found = select(PassageRow, Document.name).join_from(PassageRow, Document)
            found = found.where(PassageRow.number.in_(best))
            rows = {row.number: (row, name) for row, name in await session.execute(found)}
        return [
            Passage(row.id, row.document_id, name, row.place, row.text, scores[row.number])
            for row, name in (rows[number] for number in best)
        ]

    async def has_any(self, user_id: str) -> bool:
        """Whether the user has a document."""
        async with self._database.reading() as session:
            return await session.scalar(select(Document.id).where(Document.user_id == user_id).limit(1)) is not None

    async def _keep(self, document: Document, data: bytes) -> None:
        """Write the file, after its row: whoever deletes the last other row of it must see this one."""
        try:
            await asyncio.to_thread(_write, self._folder / document.sha256, data)
        except OSError as error:
            async with self._database.session() as session:
                await session.execute(delete(Document).where(Document.id == document.id))
            reason = (error.strerror or str(error)).lower()
            message = f"The document cannot be kept ({reason}): make room where HOMEGROWN_HOME lies."
            raise ApiError(507, message, code="insufficient_storage") from None

    async def list(self, user_id: str) -> list[Document]:
        """The user's documents, the newest first."""
        async with self._database.reading() as session:
            own = select(Document).where(Document.user_id == user_id).order_by(Document.id.desc())
            return [*await session.scalars(own)]


def fused(rankings: list[list[int]]) -> dict[int, float]:
    """Scores of what several rankings hold, the best first."""
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            scores[number] += 1 / (RANK_CONSTANT + rank)
    return dict(sorted(scores.items(), key=lambda scored: -scored[1]))


def _plain_name(name: str) -> str:
    """A file's name on one line, without folders and without what a terminal or a chat template could obey."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return " ".join("".join(char if char.isprintable() else " " for char in last).split())[-MAX_NAME:]


def _too_large(message: str) -> ApiError:
    return ApiError(413, message, param="file", code="document_too_large")


def _write(path: Path, data: bytes) -> None:
    """A file that is there as a whole or not at all, and that only its owner can read."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="unfinished-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
