"""The embedding model of the API: loaded when it is first asked for, off the event loop, many requests at once."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedder import Encoder, find_embedder, load_encoder, unit_vectors
from serving.home import home

if TYPE_CHECKING:
    import numpy as np

MAX_BATCH = 256


@dataclass(frozen=True)
class Embedded:
    """`vectors` (texts, dimensions), float32, of length one; `tokens` of each text."""

    vectors: "np.ndarray"
    tokens: list[int]


@dataclass(frozen=True)
class _Wish:
    texts: list[str]
    answer: asyncio.Future[Embedded]


class EmbeddingEngine:
    """One embedder in the event loop that serves; requests that come while it works make the next batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_name = folder.resolve().name
        self._waiting: list[_Wish] = []
        self._worker: asyncio.Task[None] | None = None

    async def embed(self, texts: list[str]) -> Embedded:
        """Vectors of texts. Raises `UserError` when the model is broken."""
        wish = _Wish(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await wish.answer

    async def longest(self) -> int | None:
        """Tokens of a text that count; None: all of them."""
        return (await asyncio.to_thread(lambda: self._encoder)).longest

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self.folder)

    async def _work(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                embedded = await asyncio.to_thread(self._embed, [text for wish in batch for text in wish.texts])
            except Exception as error:  # whatever a model raises belongs to those who asked
                for wish in batch:
                    if not wish.answer.done():
                        wish.answer.set_exception(error)
                continue
            start = 0
            for wish in batch:
                own = slice(start, start := start + len(wish.texts))
                if not wish.answer.done():
                    wish.answer.set_result(Embedded(embedded.vectors[own], embedded.tokens[own]))

    def _next_batch(self) -> list[_Wish]:
        """Those who wait, in order: the first, and as many more as fit. Who has gone is left out."""
        batch, size = [], 0
        while self._waiting and (not batch or size + len(self._waiting[0].texts) <= MAX_BATCH):
            wish = self._waiting.pop(0)
            if not wish.answer.done():
                batch.append(wish)
                size += len(wish.texts)
        return batch

    def _embed(self, texts: list[str]) -> Embedded:
        encoder = self._encoder
        return Embedded(unit_vectors(encoder.encode, texts, self.model_name), encoder.count(texts))


def make_embedding_engine(embedding_model: str | None, text_models: Iterable[str]) -> EmbeddingEngine | None:
    """The embedder that is named, or the one grown with the first of the text model's names; None without any.

    Raises `UserError` when it cannot be used.
    """
    if embedding_model:
        return EmbeddingEngine(find_embedder(embedding_model))
    grown = (home() / "models" / f"{name}-embedder" for name in text_models)
    found = next((folder for folder in grown if folder.is_dir()), None)
    return EmbeddingEngine(find_embedder(found)) if found else None
