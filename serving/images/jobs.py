"""What waits to be drawn: a bounded queue of jobs, from which pictures that go together are taken in batches."""

import secrets
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from serving.images.request import DrawRequest
from serving.images.sizes import Size
from serving.images.uploads import Upload

# Small enough to be exact in every client's numbers.
RANDOM_SEEDS = 2**32


class QueueFullError(Exception):
    """No further job is taken. `waiting`: pictures that are still to be drawn."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} pictures are waiting")
        self.waiting = waiting


class Cancelled(Exception):
    """Nobody waits for what is being drawn."""


@dataclass(eq=False)
class Job:
    """One request on its way. `tell(event)` hands its client an event."""

    request: DrawRequest
    upload: Upload | None
    tell: Callable[[dict], None]
    seed: int = field(init=False)
    finished: int = field(default=0, init=False)
    cancelled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.seed = secrets.randbelow(RANDOM_SEEDS) if self.request.seed is None else self.request.seed

    def pictures(self) -> list["Picture"]:
        """Those that the request asks for."""
        return [Picture(self, index) for index in range(self.request.n)]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a job, still to be drawn."""

    job: Job
    index: int

    @property
    def seed(self) -> int:
        return self.job.seed + self.index

    @property
    def wanted_size(self) -> Size | None:
        """The size that was asked for, or that of the picture to be changed; None: the model's."""
        request, upload = self.job.request, self.job.upload
        return (request.width, request.height) if request.width else upload and upload.size


class JobQueue:
    """At most `limit` jobs wait at a time. For one thread that draws and any number that ask."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: list[Picture] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """The jobs that wait."""
        return len({picture.job for picture in self._waiting})

    def put(self, job: Job) -> int:
        """Append a job; how many are before it. Raises `QueueFullError`."""
        with self._changed:
            before = len(self)
            if before >= self._limit:
                raise QueueFullError(len(self._waiting))
            self._waiting += job.pictures()
            self._changed.notify()
        return before

    def cancel(self, job: Job) -> None:
        """Take the job's pictures out, and let one that is being drawn know."""
        job.cancelled = True
        with self._changed:
            self._waiting = [picture for picture in self._waiting if picture.job is not job]

    def wait(self) -> None:
        """Return when there is something to draw."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)

    def take(self, size: int, kind: Callable[[Picture], Hashable]) -> list[Picture]:
        """The picture that came first and up to `size` - 1 others of its `kind`; none when all were cancelled."""
        with self._changed:
            if not self._waiting:
                return []
            first = kind(self._waiting[0])
            batch = [picture for picture in self._waiting if kind(picture) == first][:size]
            taken = set(batch)
            self._waiting = [picture for picture in self._waiting if picture not in taken]
        return batch
