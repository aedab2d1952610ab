"""The image worker as a child process, drawing with one diffusers pipeline."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from serving.child_engine import ChildEngine
from serving.engine import EngineError, EngineState
from serving.home import home
from serving.images.folder import NAME, check_image_folder, image_folder
from serving.images.growth import Growth, growth
from serving.images.machine import Dtype

DEFAULT_IMAGE_MODEL = "images"
POLL_S = 0.2


def image_model_in_sight(model: str) -> bool:
    """Whether there is an image model called `model`, or it is being grown."""
    return _grown(model).is_dir() or growth(model) is not None


class ImageEngine(ChildEngine):
    """The worker drawing with the model called `model`; it may still be learning, then its first version is awaited.

    It is started when `after` is set, so that two engines do not load their packages at the same time.
    """

    log_name = "images.log"
    stages = {"loading the weights": "loading the weights"}  # noqa: RUF012 - read only

    def __init__(
        self,
        model: str = DEFAULT_IMAGE_MODEL,
        *,
        dtype: Dtype | None = None,
        queue: int = 16,
        batch: int = 8,
        loras: Path | None = None,
        start_s: float = 900.0,
        on_progress: Callable[[float, str], None] = lambda seconds, stage: None,
        after: threading.Event | None = None,
    ) -> None:
        super().__init__(start_s, on_progress)
        # One of ours is checked when its worker is started: it may not be there yet, and text is served without it.
        is_ours = NAME.fullmatch(model) and image_model_in_sight(model)
        self.folder = _grown(model) if is_ours else image_folder(model)
        is_hub_id = model.count("/") == 1 and not Path(model).exists()
        self.model_name = model if is_hub_id else self.folder.resolve().name
        self._dtype, self._queue, self._batch = dtype, queue, batch
        self._loras = loras or home() / "loras"
        self._after = after

    @property
    def base_url(self) -> str:
        """Where the worker's endpoints are, without a final slash."""
        return f"http://127.0.0.1:{self._port}"

    def command(self) -> list[str]:
        """The worker's command line."""
        return [
            *(sys.executable, "-m", "serving.images.worker"),
            *("--model", str(self.folder), "--name", self.model_name, "--port", str(self._port)),
            *("--queue", str(self._queue), "--batch", str(self._batch), "--loras", str(self._loras)),
            *(("--dtype", self._dtype) if self._dtype else ()),
        ]

    def environment(self) -> dict[str, str]:
        """The variables set for the worker on top of the inherited ones; one that the user has set stays."""
        chosen = {
            "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))),
            "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait take the cores from the text engine
            "HF_HUB_OFFLINE": "1",  # the model is a folder by now
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        return {name: os.environ.get(name, value) for name, value in chosen.items()}

    def _prepare(self) -> None:
        while self._after and not self._after.is_set():
            if self._stopping.wait(POLL_S):
                return
        while not self.folder.is_dir() and not self._stopping.wait(POLL_S):
            self.state = EngineState("learning", _learning(growth(self.model_name)))
        if not self._stopping.is_set():
            self.state = EngineState("starting", "the image model is being loaded")
            check_image_folder(self.folder)

    def _failure(self, said: str) -> EngineError:
        return EngineError(f"The image engine does not run ({said}): see {self.log}.")


def _grown(model: str) -> Path:
    """Where the model called `model` is, once it is grown."""
    return home() / "models" / model


def _learning(progress: Growth | None) -> str:
    if progress is None:
        return "the image model is not ready, and its training has stopped; `homegrown train images` goes on with it"
    return f"the image model is still learning ({progress})"
