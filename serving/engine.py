"""What every engine offers, wherever it runs, and the engine that somebody else runs."""

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from serving.errors import UserError


class EngineError(UserError):
    """The inference engine does not run or cannot be reached."""

    exit_code = 4


@dataclass(frozen=True)
class EngineState:
    """What an engine is doing; `reason` is a clause that can be shown to a person."""

    name: Literal["learning", "starting", "ready", "restarting", "failed", "stopped"]
    reason: str


class Engine(Protocol):
    """A running OpenAI-compatible engine that serves one model and its LoRA `adapters`.

    The model answers to the names `also_called` as well, and says `model_name` in its answers.
    """

    base_url: str
    model_name: str
    adapters: Sequence[str]
    also_called: Sequence[str]
    state: EngineState


class RemoteEngine:
    """A vLLM that runs elsewhere. `model` None takes the first one that it serves; `key` is its API key."""

    also_called: Sequence[str] = ()

    def __init__(self, url: str, model: str | None = None, key: str | None = None) -> None:
        self.base_url = url.rstrip("/") if url.rstrip("/").endswith("/v1") else url.rstrip("/") + "/v1"
        self.key = key
        served = self._served_models()
        if model and model not in served:
            raise EngineError(f"The engine at {url} serves {', '.join(served)}, not {model}: name one of those.")
        self.model_name = model or next(iter(served))
        self.adapters = [name for name, parent in served.items() if parent == self.model_name]
        self.state = EngineState("ready", "the engine runs elsewhere")

    def _served_models(self) -> dict[str, str | None]:
        """Ids of its models, each with the one that it adapts.

        Raises `EngineError` when nobody answers as an OpenAI endpoint there.
        """
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = urllib.request.Request(f"{self.base_url}/models", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return {model["id"]: model.get("parent") for model in json.load(answer)["data"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "reason", error)
            raise EngineError(
                f"No engine answers at {self.base_url} ({reason}): start one there, or leave that address out."
            ) from None


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_healthy(base_url: str, timeout_s: float = 2.0) -> bool:
    """Whether the engine at `base_url` (ending in /v1) says that it can answer."""
    try:
        with urllib.request.urlopen(base_url.removesuffix("/v1") + "/health", timeout=timeout_s) as answer:
            return answer.status == 200
    except (OSError, ValueError, http.client.HTTPException):
        return False
