"""An engine that is a child process: started, waited for, restarted when it dies, and never left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from serving import leash
from serving.engine import EngineError, EngineState, free_port, is_healthy
from serving.errors import UserError
from serving.home import home

MAX_FAILURES = 3
QUICK_S, LONGEST_PAUSE_S = 60.0, 30.0
LOG_LIMIT_BYTES = 8 * 2**20
# How a traceback ends.
EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b(:|$)")


class ChildEngine(ABC):
    """A server on a free loopback port, in a process of its own.

    As a context manager it is ready inside the block. `base_url` may change when the engine is restarted.
    `on_progress(seconds, stage)` is called about twice a second while the engine starts. `settled` is set when it
    is ready for the first time, or never will be.
    """

    adapters: Sequence[str] = ()
    also_called: Sequence[str] = ()
    log_name: ClassVar[str]
    # What its log says when a stage of the start begins, the last stage first; and what it does before them.
    stages: ClassVar[dict[str, str]]
    first_stage: ClassVar[str] = "loading Python packages"
    # How the lines of its log begin, and which lines are no news.
    prefix: ClassVar[re.Pattern] = re.compile("")
    chatter: ClassVar[re.Pattern] = re.compile("(?!)")

    def __init__(self, start_s: float, on_progress: Callable[[float, str], None]) -> None:
        self.log = home() / "logs" / self.log_name
        self.state = EngineState("starting", "the engine is starting")
        self.error: UserError | None = None
        self.restarts = 0
        self._start_s, self._on_progress = start_s, on_progress
        self._port = free_port()
        self._process: subprocess.Popen | None = None
        self._log_start = 0
        self.settled, self._stopping = threading.Event(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"watcher of {self.log_name}", daemon=True)

    @property
    @abstractmethod
    def base_url(self) -> str:
        """Where the engine's endpoints are, without a final slash."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the child."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The variables set for the child on top of the inherited ones."""

    @abstractmethod
    def _failure(self, said: str) -> EngineError:
        """The error of an engine that does not run; `said` are its last words."""

    @abstractmethod
    def _prepare(self) -> None:
        """Wait for what the first start needs, or until told to stop. Raises `UserError` when it cannot be had."""

    def start(self) -> None:
        """Start the child and return at once."""
        self._watcher.start()

    def wait_ready(self) -> None:
        """Block until the engine answers. Raises `UserError` when it gave up."""
        self.settled.wait()
        if self.error:
            raise self.error

    def stop(self) -> None:
        """Stop the child and everything that it started; returns when all of it is gone."""
        self._stopping.set()
        self._let_go()
        if self._watcher.is_alive():
            self._watcher.join()
        self.state = EngineState("stopped", "the engine was stopped")

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _watch(self) -> None:
        try:
            self._prepare()
            self._keep_running()
        except UserError as error:
            self.error = error
            self.state = EngineState("failed", str(error))
        self.settled.set()

    def _keep_running(self) -> None:
        """Keep one child running until told to stop. Raises `EngineError` when it does not come up."""
        failures, quick_deaths = 0, 0
        while not self._stopping.is_set():
            started = time.monotonic()
            was_ready = self._run_once()
            if self._stopping.is_set():
                break
            failures = 0 if was_ready else failures + 1
            # One that never came up will not come up: its flags, its model or its memory are wrong. One that did may
            # have died of what it was asked, and whoever asks that again and again shall not end it for everybody.
            if failures >= MAX_FAILURES or not self.settled.is_set():
                raise self._failure(self._last_words())
            quick_deaths = quick_deaths + 1 if time.monotonic() - started < QUICK_S else 0
            self.state = EngineState("restarting", "the engine died and is being restarted")
            self.restarts += 1
            self._stopping.wait(min(2.0**quick_deaths / 2, LONGEST_PAUSE_S))
            self._port = free_port()

    def _run_once(self) -> bool:
        """Run the child until it ends; whether it was ever ready."""
        self._spawn()
        ready = self._await_health()
        if ready:
            self.state = EngineState("ready", "the engine is ready")
            self.settled.set()
        self._process.wait()
        self._let_go()
        # Normally nobody is left; when the leash itself was killed, its process group still is.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return ready

    def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, leash.__file__, *self.command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment(),
                start_new_session=True,
            )
        if self._stopping.is_set():
            self._let_go()

    def _await_health(self) -> bool:
        """Wait for the engine to answer; False when it died or took too long, and then it is gone."""
        started = time.monotonic()
        while self._process.poll() is None:
            if is_healthy(self.base_url):
                return True
            seconds = time.monotonic() - started
            if seconds > self._start_s:
                self._let_go()
            self._on_progress(seconds, self._stage())
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=0.5)
        return False

    def _let_go(self) -> None:
        """Close the leash, which ends the child and its descendants."""
        if self._process and not self._process.stdin.closed:
            self._process.stdin.close()

    def _own_log(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def _stage(self) -> str:
        text = self._own_log()
        return next((stage for marker, stage in self.stages.items() if marker in text), self.first_stage)

    def _last_words(self) -> str:
        """What the last exception in the log says, else its last line."""
        news = [line for line in self._own_log().splitlines() if not self.chatter.search(line)]
        lines = [line for line in (self.prefix.sub("", line).strip() for line in news) if line] or ["it said nothing"]
        raised = [place for place, line in enumerate(lines) if EXCEPTION.match(line)]
        # Some exceptions, pydantic's for one, tell the cause in the line after their name.
        said = lines[raised[-1] : raised[-1] + 2] if raised else lines[-1:]
        return " ".join(said)[:400].rstrip(".")
