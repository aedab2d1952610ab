"""Another model for a server that runs: a second engine comes up, proves that it answers, and takes over.

Where the memory holds both, nobody notices (a blue-green deployment): the old engine answers until the new one does,
and finishes what it has begun. Where it does not, the old engine finishes and ends first; requests that come meanwhile
are told to come back.
"""

import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

from prompts.library import probe
from serving.child_engine import ChildEngine
from serving.engine import EngineError
from serving.errors import UserError
from serving.logs import log
from serving.machine import available_bytes
from serving.registry import Promotion, record
from serving.settings import ServingSettings
from serving.text_engine import TextEngine

POLL_S = 0.05
ANSWER_S = 120.0
PROOF_TOKENS = 4


class Changeover:
    """Which text engine serves, and the change to another: one at a time, in a thread of its own.

    `successor(folder, engine)` makes the engine of another model; `exchange(engine)` has new requests answered by it;
    `answering(engine)` tells how many still are, which may go on for `drain_s`.
    """

    def __init__(
        self,
        engine: TextEngine,
        successor: Callable[[Path, TextEngine], TextEngine],
        exchange: Callable[[TextEngine], None],
        answering: Callable[[TextEngine], int],
        drain_s: float,
    ) -> None:
        self.engine = engine
        self._make, self._exchange, self._answering, self._drain_s = successor, exchange, answering, drain_s
        self._engines = [engine]
        self._between = False  # one has ended, another is about to start
        self._lock, self._stopping = Lock(), Event()
        self._worker = ThreadPoolExecutor(1, "changeover")

    def to(self, prepare: Callable[[], Promotion]) -> Future[Promotion]:
        """Serve what `prepare` returns, after those that were asked for before it, and record it.

        The result comes as soon as new requests are answered by it. When it cannot be served the result is an
        exception, and the model before goes on serving.
        """
        answer: Future[Promotion] = Future()
        answer.set_running_or_notify_cancel()
        self._worker.submit(self._change, prepare, answer)
        return answer

    def failure(self) -> UserError | None:
        """Why nobody answers any more; None while somebody does, or soon will."""
        return None if self._between or self.engine.state.name != "failed" else self.engine.error

    def start(self) -> None:
        """Start the first engine."""
        self.engine.start()

    def stop(self) -> None:
        """Stop every engine, one that is just starting included; returns when all are gone."""
        with self._lock:
            self._stopping.set()
            engines = list(self._engines)
        with ThreadPoolExecutor() as pool:
            list(pool.map(ChildEngine.stop, engines))
        self._worker.shutdown()

    def _change(self, prepare: Callable[[], Promotion], answer: Future[Promotion]) -> None:
        old = self.engine
        old.settled.wait()
        try:
            promotion = prepare()
            new = self._successor(promotion.folder, old)
            both = new.memory_bytes() <= available_bytes() and not new.fills_the_machine
            log.info("changeover", extra={"fields": {"from": old.model_name, "to": new.model_name, "beside": both}})
            recorded = (self._beside if both else self._instead)(old, new, promotion)
        except UserError as error:
            answer.set_exception(type(error)(f"{str(error).rstrip('.')}{self._who_serves()}."))
        except Exception as error:  # a defect, which belongs to whoever asked
            answer.set_exception(error)
        else:
            answer.set_result(recorded)
            if both:
                self._retire(old)

    def _beside(self, old: TextEngine, new: TextEngine, promotion: Promotion) -> Promotion:
        try:
            self._start(new)
            recorded = record(promotion)
        except BaseException:
            self._retire(new)
            raise
        self._offer(new)
        return recorded

    def _instead(self, old: TextEngine, new: TextEngine, promotion: Promotion) -> Promotion:
        self._between = True
        self._offer(new)
        try:
            self._retire(old)
            self._start(new)
            return record(promotion)
        except BaseException:
            again = self._successor(old.folder, old)
            self._offer(again)
            self._retire(new)
            self._start(again)
            raise
        finally:
            self._between = False

    def _who_serves(self) -> str:
        return f"; {self.engine.model_name} goes on serving" if self.engine.state.name == "ready" else ""

    def _successor(self, folder: Path, old: TextEngine) -> TextEngine:
        """An engine for the model in `folder`, not started, that `stop` will find."""
        with self._lock:
            if self._stopping.is_set():
                raise _stopped()
            new = self._make(folder, old)
            self._engines.append(new)
            return new

    def _start(self, engine: TextEngine) -> None:
        """Start it and have it answer. Raises `EngineError` when it does not."""
        engine.start()
        engine.wait_ready()
        if self._stopping.is_set():
            raise _stopped()
        prove(engine)

    def _offer(self, engine: TextEngine) -> None:
        self.engine = engine
        self._exchange(engine)

    def _retire(self, engine: TextEngine) -> None:
        """Stop it once nobody is answered by it, or when its time is up."""
        deadline = time.monotonic() + self._drain_s
        while not self._stopping.wait(POLL_S) and self._answering(engine) and time.monotonic() < deadline:
            pass
        if cut_off := self._answering(engine):
            log.warning("answers cut off", extra={"fields": {"model": engine.model_name, "answers": cut_off}})
        engine.stop()
        with self._lock:
            self._engines.remove(engine)


class Successor(TextEngine):
    """The engine of the model in `folder`, which also answers to every name of the `old` one's."""

    def __init__(self, settings: ServingSettings, folder: Path, old: TextEngine) -> None:
        super().__init__(
            str(folder),
            dtype=settings.dtype,
            max_model_len=settings.max_model_len,
            kv_cache_gib=settings.kv_cache_gib,
            start_s=settings.engine_start_s,
            also_called=(folder.name, old.model_name, *old.also_called),
        )
        # Both write at the same time.
        other = "vllm-2.log" if old.log.name == self.log_name else self.log_name
        self.log = self.log.with_name(other)

    def _failure(self, said: str) -> EngineError:
        return EngineError(f"The engine of {self.model_name} does not run ({said}): see {self.log}.")


def prove(engine: TextEngine) -> None:
    """Have the engine answer a greeting. Raises `EngineError` when it does not, or its weights are no numbers."""
    asked = {
        "model": engine.model_name,
        "messages": [{"role": "user", "content": probe("greeting")}],
        "max_tokens": PROOF_TOKENS,
        "temperature": 0,
        "logprobs": True,
    }
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{engine.base_url}/chat/completions", json.dumps(asked).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            tokens = json.load(answer)["choices"][0]["logprobs"]["content"]
    except urllib.error.HTTPError as error:
        said = error.read(500).decode("utf-8", "replace")
        raise EngineError(f"The model {engine.model_name} does not answer ({error.code}: {said}).") from None
    except OSError as error:
        raise EngineError(f"The model {engine.model_name} does not answer ({error}).") from None
    if not tokens:
        raise EngineError(f"The model {engine.model_name} says nothing.")
    if not all(math.isfinite(token["logprob"]) for token in tokens):
        raise EngineError(f"The model {engine.model_name} computes no numbers: its weights are broken.")


def _stopped() -> EngineError:
    return EngineError("The server is being stopped.")
