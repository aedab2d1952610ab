"""What the database says of keys, remembered for a second: a request costs no query, and a revoked key soon fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from serving.keys import ApiKey, KeyStore

LIFE_S = 1.0
MAX_REMEMBERED = 4096


class KeyRing:
    """Keys by their fingerprint or id, for one event loop. Its methods raise what the database raises."""

    def __init__(self, store: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._answers: dict[tuple[Callable, str], tuple[float, asyncio.Future]] = {}
        self._locked = False

    async def by_sha256(self, sha256: str) -> ApiKey | None:
        """The key of that fingerprint, be it valid or not."""
        return await self._ask(self._store.by_sha256, sha256)

    async def by_id(self, id: str) -> ApiKey | None:
        """The key of that id, be it valid or not."""
        return await self._ask(self._store.by_id, id)

    async def any_held(self) -> bool:
        """Whether a key has been held since we began: revoking the last one must not let everybody in."""
        self._locked = self._locked or await self._ask(self._store.any_held)
        return self._locked

    async def _ask(self, question: Callable[..., Awaitable], *about: str) -> ApiKey | bool | None:
        """The answer, which all who ask at the same time share."""
        now, asked = self._clock(), (question, *about)
        at, answer = self._answers.get(asked, (-LIFE_S, None))
        if answer is None or now - at >= LIFE_S:
            if len(self._answers) >= MAX_REMEMBERED:
                self._answers.clear()
            answer = asyncio.ensure_future(question(*about))
            self._answers[asked] = (now, answer)
        return await asyncio.shield(answer)
