"""The agent: answers with any model of our own API, and runs the tools that the model calls."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from starlette.datastructures import State

from assistant.documents.store import Documents
from assistant.events import Finished, Silence, Text, Told, Wish
from assistant.limits import Limits
from assistant.personas import Voice
from assistant.tools.desk import Desk
from serving.access import LOCAL
from serving.api.errors import ApiError
from serving.settings import checked

if TYPE_CHECKING:
    from assistant.graph import Knowledge, Run

LENGTHS = ("max_completion_tokens", "max_tokens")
# A small model takes what it reads last for an order: once it has read what a tool returned, it can only answer.
CALLS_OF_SMALL = 2


class Agent:
    """Answers with the models and the tools behind `state`, which is the API's."""

    def __init__(self, state: State, documents: Documents, limits: Limits | None = None) -> None:
        self.state, self.documents, self.limits = state, documents, limits or checked(Limits)
        self._knowledge: dict[str, Knowledge] = {}

    def warm_up(self) -> None:
        """Begin to import LangChain, which takes seconds, so that the first answer need not wait for it."""
        threading.Thread(target=_import_graph, name="import of LangChain", daemon=True).start()

    async def answer(self, wish: Wish, silence_s: float | None = None) -> AsyncIterator[Told]:
        """What happens while the wish is answered, with `Silence` after every `silence_s` without anything.

        Closing the iterator, or cancelling its task, stops the model. Raises `ApiError`.
        """
        told: asyncio.Queue[Told | None] = asyncio.Queue()

        async def work() -> None:
            try:
                await self._work(wish, told.put_nowait)
            finally:
                told.put_nowait(None)

        # A task of its own, because a generator that is left early would not stop the model.
        task = asyncio.create_task(work())
        try:
            while (event := await _next(told, silence_s)) is not None:
                yield event
            await task
        finally:
            task.cancel()
            # Not `await task`: if we are cancelled again, that would interrupt LangGraph before it cancels its tools.
            await asyncio.wait({task})

    async def _work(self, wish: Wish, tell: Callable[[Told], None]) -> None:
        await asyncio.to_thread(_import_graph)
        import openai

        from assistant import graph
        from assistant.openai_errors import api_error

        begun, first_token_s = time.monotonic(), None

        def watch(event: Told) -> None:
            nonlocal first_token_s
            if first_token_s is None and isinstance(event, Text):
                first_token_s = time.monotonic() - begun
            tell(event)

        run, sampling = self._prepare(wish)
        name = wish.model or self.state.upstream.engine.model_name
        try:
            async with (
                asyncio.timeout(self.limits.seconds),
                graph.chat_model(f"{self.state.own_url}/v1", self.state.internal_key, name, sampling) as model,
            ):
                await graph.take(run, model, wish.messages, watch)
        except openai.OpenAIError as error:
            raise api_error(error) from None
        except TimeoutError:
            raise _too_slow(self.limits.seconds) from None
        tell(Finished(run.finish_reason, run.usage(), first_token_s, time.monotonic() - begun))

    def _prepare(self, wish: Wish) -> "tuple[Run, dict]":
        """How the wish is answered, and the sampling parameters to be sent. Raises `ApiError` 400."""
        from assistant.graph import Knowledge, Run

        engine = self.state.upstream.engine
        voice = Voice.behind(engine)
        most_calls = min(self.limits.model_calls, CALLS_OF_SMALL) if voice.is_small else self.limits.model_calls
        sampling = {} if voice.temperature is None else {"temperature": voice.temperature}
        sampling |= {name: value for name, value in wish.sampling.items() if value is not None}
        if wish.user_id != LOCAL.user_id:  # how fast it is read must not tell others what was asked before
            sampling["cache_salt"] = wish.user_id
        lengths = [sampling.pop(name) for name in LENGTHS if name in sampling]
        run = Run(
            knowledge=self._knowledge.setdefault(wish.model or engine.model_name, Knowledge()),
            system=voice.system(wish.persona, wish.instructions),
            tools=voice.tools if wish.tools else (),
            max_tokens=min(self.limits.tokens, *lengths[:1]) if lengths else self.limits.tokens,
            desk=Desk(self.state, self.documents, wish.user_id, voice.is_small),
            limits=self.limits.model_copy(update={"model_calls": most_calls}),
            may_draw=wish.may_draw,
        )
        return run, sampling


async def _next(told: asyncio.Queue[Told | None], silence_s: float | None) -> Told | None:
    try:
        async with asyncio.timeout(silence_s):  # `wait_for` can lose a cancellation before Python 3.12
            return await told.get()
    except TimeoutError:
        return Silence()


def _import_graph() -> None:
    import assistant.graph  # noqa: F401


def _too_slow(seconds: float) -> ApiError:
    message = (
        f"The answer took longer than {seconds:g} s and was stopped: ask for less, or raise HOMEGROWN_AGENT_SECONDS."
    )
    return ApiError(504, message, code="timeout")
