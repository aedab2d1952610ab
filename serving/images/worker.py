"""The process that draws: `python -m serving.images.worker --model FOLDER --port N`, watched by an image engine."""

import argparse
import base64
import math
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from serving.api.errors import ApiError, engine_unavailable
from serving.errors import UserError
from serving.images.endpoints import build_worker_api
from serving.images.folder import identity
from serving.images.jobs import Cancelled, Job, JobQueue, Picture, QueueFullError
from serving.images.loras import LoraFolder
from serving.images.machine import Dtype
from serving.images.provenance import Origin, finished
from serving.images.request import DrawRequest
from serving.images.sizes import resampled
from serving.images.uploads import read_upload
from serving.server import HttpServer

if TYPE_CHECKING:
    from PIL.Image import Image

    from serving.images.painter import Painter

BACKLOG = 128


class Worker:
    """Takes requests in any thread and draws in the one that calls `work`."""

    def __init__(
        self, folder: Path, name: str, loras: Path, queue: int = 16, batch: int = 8, dtype: Dtype | None = None
    ) -> None:
        self.name, self.loras = name, LoraFolder(loras)
        self.painter: Painter | None = None
        self._folder, self._dtype, self._batch = folder, dtype, batch
        self.queue = JobQueue(queue)
        self._unusable: tuple[int, int] | None = None
        self._seconds_each = 1.0

    def accept(self, request: DrawRequest, tell: Callable[[dict], None]) -> Job:
        """Queue `request`; `tell` is called with each of its events, in the drawing thread.

        Raises `ApiError`: 400 for what cannot be drawn, 429 when the queue is full, 503 while there is no model.
        """
        if self.painter is None:
            raise engine_unavailable("the image model is still being loaded")
        self.painter.check(request)
        job = Job(request, read_upload(request), tell)
        try:
            ahead = self.queue.put(job)
        except QueueFullError as full:
            seconds = max(1, math.ceil(full.waiting * self._seconds_each))
            message = f"Too many pictures are waiting to be drawn: try again in {seconds} s."
            raise ApiError(429, message, code="queue_full", headers={"Retry-After": str(seconds)}) from None
        if ahead:
            tell({"type": "queued", "ahead": ahead})
        return job

    def cancel(self, job: Job) -> None:
        """Nobody waits for `job` any more: what waits is dropped, what is being drawn stops at the next step."""
        self.queue.cancel(job)

    def work(self) -> None:
        """Load the model and draw what is asked for, for ever. Raises `UserError` when the model cannot be used."""
        painter = self._load()
        self._check_signing()
        if painter.own:
            self._warm_up(painter)
        self.painter = painter
        while True:
            self.queue.wait()
            self._take_newer_model()
            if pictures := self.queue.take(self._batch, self.painter.batch_kind):
                self._draw(pictures)

    def _load(self) -> "Painter":
        from serving.images.painter import Painter

        return Painter(self._folder, self.loras, self._dtype)

    def _take_newer_model(self) -> None:
        """Load the folder anew if it was replaced; the model at hand goes on while the new one cannot be used."""
        now = identity(self._folder)
        if now in (None, self.painter.identity, self._unusable):
            return
        try:
            self.painter = self._load()
        except Exception:  # a model in the making can be broken in any way
            traceback.print_exc()
            self._unusable = now

    def _check_signing(self) -> None:
        """Finish a dot for nobody: a certificate that cannot sign is better found now than at every picture."""
        from PIL import Image

        origin = Origin("", self.name, "", 0, datetime.now(UTC).isoformat(timespec="seconds"), (1, 1))
        finished(Image.new("RGB", (1, 1)), origin, "png")

    def _warm_up(self, painter: "Painter") -> None:
        """Draw one picture for nobody, so that the first one for somebody is as fast as the others."""
        picture = Job(DrawRequest(prompt="a circle", width=512, height=512), None, lambda event: None).pictures()[0]
        (drawn,) = painter.draw([picture], lambda *_: None)
        if not isinstance(drawn, ApiError):
            self._encoded(painter, picture, drawn)

    def _draw(self, pictures: list[Picture]) -> None:
        started = time.monotonic()
        try:
            for picture, drawn in zip(pictures, self.painter.draw(pictures, self._after_step), strict=True):
                self._deliver(picture, drawn)
        except Cancelled:
            return
        except ApiError as error:
            self._fail(pictures, error)
        except Exception:
            traceback.print_exc()
            self._fail(pictures, ApiError(500, "The model failed while it drew: its log has the details."))
        self._seconds_each = (time.monotonic() - started) / len(pictures)

    def _after_step(
        self, pictures: list[Picture], step: int, steps: int, preview: Callable[[int], "Image | None"]
    ) -> None:
        """Tell everybody how far it is. Raises `Cancelled` when nobody listens."""
        counts = Counter(picture.job for picture in pictures)
        if all(job.cancelled for job in counts):
            raise Cancelled
        for job, count in counts.items():
            done = (job.finished * steps + count * step) / job.request.n
            job.tell({"type": "progress", "step": round(done), "steps": steps})
        for index, picture in enumerate(pictures):
            number = _partial_number(step, steps, picture.job.request.partial_images)
            if number is not None and (drawn := preview(index)):
                image = self._encoded(self.painter, picture, drawn)
                picture.job.tell({"type": "partial", "index": picture.index, "number": number, "image": image})

    def _deliver(self, picture: Picture, drawn: "Image | ApiError") -> None:
        job, request = picture.job, picture.job.request
        if job.cancelled:
            return
        if isinstance(drawn, ApiError):
            self._fail([picture], drawn)
            return
        width, height = picture.wanted_size or drawn.size
        event = {"type": "picture", "index": picture.index, "seed": picture.seed, "format": request.format}
        event |= {"width": width, "height": height, "native_size": drawn.size}
        job.tell(event | {"image": self._encoded(self.painter, picture, drawn)})
        job.finished += 1
        if job.finished == request.n:
            job.tell({"type": "done", "model": self.name, "sha256": self.painter.sha256})

    def _fail(self, pictures: list[Picture], error: ApiError) -> None:
        """End the jobs of `pictures` with an error."""
        for job in {picture.job for picture in pictures if not picture.job.cancelled}:
            self.queue.cancel(job)
            code = error.code or "drawing_failed"
            job.tell({"type": "error", "status": error.status, "code": code, "message": error.message})

    def _encoded(self, painter: "Painter", picture: Picture, drawn: "Image") -> str:
        """Base64 of the finished file."""
        request, upload = picture.job.request, picture.job.upload
        size = picture.wanted_size or drawn.size
        shown = upload.merged(drawn, size) if upload else resampled(drawn, size)
        origin = Origin(
            prompt=request.prompt,
            model=self.name,
            model_sha256=painter.sha256,
            seed=picture.seed,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            native_size=drawn.size,
        )
        return base64.b64encode(finished(shown, origin, request.format, request.compression)).decode()


def _partial_number(step: int, steps: int, wanted: int) -> int | None:
    """Which of the `wanted` partial pictures is shown after this step; they are spread over the steps."""
    shown_after = [round(steps * (number + 1) / (wanted + 1)) for number in range(wanted)]
    return shown_after.index(step) if step < steps and step in shown_after else None


def main() -> None:
    """Serve until the process is ended; a `UserError` is one line of the log."""
    options = _options()
    worker = Worker(options.model, options.name, options.loras, options.queue, options.batch, options.dtype)
    with (
        socket.create_server(("127.0.0.1", options.port), backlog=BACKLOG) as claimed,
        HttpServer(build_worker_api(worker), claimed),
    ):
        try:
            worker.work()
        except UserError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            sys.exit(error.exit_code)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a diffusers pipeline folder")
    parser.add_argument("--name", help="what the model is called; by default as its folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--queue", type=int, default=16, help="jobs that may wait")
    parser.add_argument("--batch", type=int, default=8, help="pictures drawn at once")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"])
    parser.add_argument("--loras", type=Path, default=Path("loras"), help="the folder of LoRA files")
    options = parser.parse_args()
    options.name = options.name or options.model.resolve().name
    return options


if __name__ == "__main__":
    main()
