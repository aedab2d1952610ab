"""Tells whoever waits for pictures how far the training is: the file that serving/images/growth.py reads."""

import json
import time

from serving.images.growth import progress_file
from training.checkpoints import write_whole
from training.job import Job

PAUSE_S = 5.0


class Telling:
    """Writes the file for one training, by its own clock."""

    def __init__(self, job: Job) -> None:
        self.file = progress_file(job.recipe.name)
        self.steps, self.every = job.steps, job.section.checkpoint_every
        self.first: tuple[int, float] | None = None
        self.told_at = float("-inf")

    def begin(self, step: int) -> None:
        """Say that it goes on after `step` steps; the next one may take long and does not count for the pace."""
        self._write({"share": step / self.steps})

    def now_and_then(self, step: int) -> None:
        """Tell, unless something was told just before."""
        if time.monotonic() - self.told_at >= PAUSE_S:
            self.tell(step)

    def tell(self, step: int) -> None:
        """Say that `step` steps are done, and how long the others will take."""
        self.told_at = time.monotonic()
        self.first = self.first or (step, self.told_at)
        told = {"share": step / self.steps}
        if step > self.first[0]:
            pace = (self.told_at - self.first[1]) / (step - self.first[0])
            left = self.steps - step
            told["seconds_left"] = round(pace * left, 1)
            told["seconds_to_next"] = round(pace * min(left, self.every - step % self.every), 1)
        self._write(told)

    def _write(self, told: dict[str, float]) -> None:
        write_whole(self.file, json.dumps(told))

    def end(self) -> None:
        """There is nothing left to tell."""
        self.file.unlink(missing_ok=True)
