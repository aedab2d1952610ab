"""The answers that are being written now: each is a task of its own, which outlives whoever asked for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from assistant.conversations import Conversations, Progress
from assistant.events import Told
from assistant.tables import Message, State
from assistant.turn import Turn
from serving.api.errors import ApiError
from serving.database import utcnow
from serving.logs import log

SAVE_EVERY_S = 0.5
"""A crash loses the text of so long, and of as long as saving takes: less than a second unless the machine is busy."""
LEAST_PAUSE_S = 0.1
TRY_AGAIN_S = 1.0
LAST_TRIES = 60


@dataclass
class _Running:
    """A turn and its tasks; `ending` is the state it gets once told to end, `saved` the `seq` on the disk."""

    turn: Turn
    answering: asyncio.Task[None]
    on_end: Callable[[Turn], None]
    completing: asyncio.Task[None] | None = None
    ending: State | None = None
    saved: int = 0
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turns:
    """At most one per conversation. An async context manager: leaving it ends and saves them as interrupted."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self._running: dict[str, _Running] = {}
        self._claimed: set[str] = set()

    async def __aenter__(self) -> "Turns":
        self._saving = asyncio.create_task(self._keep_saving())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all(lambda turn: True, "interrupted")
        self._saving.cancel()

    @contextlib.contextmanager
    def claim(self, conversation_id: str) -> Iterator[None]:
        """Keep others from starting a turn in this conversation, or from changing it, while the block runs.

        Raises `ApiError` 409 while it is being answered.
        """
        if self.is_running(conversation_id) or conversation_id in self._claimed:
            message = "This conversation is being answered: wait for the end, or stop it."
            raise ApiError(409, message, code="conversation_busy")
        self._claimed.add(conversation_id)
        try:
            yield
        finally:
            self._claimed.remove(conversation_id)

    def start(self, message: Message, telling: AsyncIterator[Told], on_end: Callable[[Turn], None]) -> None:
        """Write down in `message`, which is empty and running, what is told. Its conversation must be claimed."""
        turn = Turn(message.conversation_id, message.id)
        running = _Running(turn, asyncio.create_task(_listen(turn, telling)), on_end)
        self._running[message.id] = running
        running.completing = asyncio.create_task(self._complete(running))

    def of(self, message_id: str) -> Turn | None:
        """The turn that writes this message now."""
        running = self._running.get(message_id)
        return running and running.turn

    def is_running(self, conversation_id: str) -> bool:
        """Whether the conversation is being answered."""
        return any(running.turn.conversation_id == conversation_id for running in self._running.values())

    async def stop_all(self, which: Callable[[Turn], bool], ending: State = "stopped") -> None:
        """End these turns; returns when they are saved and their models have been let go."""
        stopped = [running for running in self._running.values() if which(running.turn)]
        for running in stopped:
            running.ending = ending
            running.answering.cancel()
        await asyncio.gather(*(asyncio.shield(running.completing) for running in stopped))

    async def _complete(self, running: _Running) -> None:
        turn = running.turn
        rendering = asyncio.create_task(turn.keep_rendering(lambda: len(self._running)))
        await asyncio.wait({running.answering})
        async with turn.rendering:  # a thread that renders goes on when it is cancelled
            rendering.cancel()
        turn.end(*_outcome(running))
        await self._save_at_last(running)
        del self._running[turn.message_id]
        turn.close()
        running.on_end(turn)

    async def _keep_saving(self) -> None:
        """All answers at once: a transaction for each would make many of them wait for the disk."""
        clock, last = asyncio.get_running_loop().time, 0.0
        while True:
            await asyncio.sleep(max(LEAST_PAUSE_S, last + SAVE_EVERY_S - clock()))
            last = clock()
            news = [one for one in self._running.values() if one.saved < one.turn.seq and one.turn.state == "running"]
            try:
                await self._save(*news)
            except Exception:
                log.exception("turns_not_saved")

    async def _save_at_last(self, running: _Running) -> None:
        """Nobody hears of an end that is not saved; a database that is away for a minute loses nothing."""
        for _ in range(LAST_TRIES):
            try:
                return await self._save(running)
            except Exception:
                log.exception("turn_not_saved")
            await asyncio.sleep(TRY_AGAIN_S)
        running.turn.end("failed", ApiError(500, "The answer could not be saved.", code="not_saved"))

    async def _save(self, *answers: _Running) -> None:
        async with contextlib.AsyncExitStack() as saving:
            for running in answers:
                await saving.enter_async_context(running.saving)
                running.saved = running.turn.seq
            await self._conversations.save({running.turn.message_id: _progress(running.turn) for running in answers})


async def _listen(turn: Turn, telling: AsyncIterator[Told]) -> None:
    async with aclosing(telling):
        async for told in telling:
            turn.take(told)


def _progress(turn: Turn) -> Progress:
    return {
        "content": turn.content,
        "steps": list(turn.steps),
        "state": turn.state,
        "error": turn.error and turn.error.message,
        "usage": turn.usage,
        "finished_at": None if turn.state == "running" else utcnow(),
    }


def _outcome(running: _Running) -> tuple[State, ApiError | None]:
    """What became of the answer."""
    error = None if running.answering.cancelled() else running.answering.exception()
    if running.ending or running.answering.cancelled():
        return running.ending or "interrupted", None
    match error:
        case None:
            return "done", None
        case ApiError(code="shutting_down"):  # our own API, which the agent asked
            return "interrupted", None
        case ApiError():
            return "failed", error
    log.error("turn_failed", exc_info=error)
    return "failed", ApiError(500, "The server made a mistake; its log has the details.", code="internal_error")
