"""What learns in the background while something else goes on; `python -m training.background RECIPE` grows a model.

It has the lowest priority and is on a leash: it ends with its owner, and goes on from its last checkpoint next time.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from serving import leash
from serving.errors import UserError
from serving.home import home
from serving.images.growth import progress_file
from training.checkpoints import write_whole

LOWEST = 19
STILL_THERE_S = 30.0


def is_unfinished(recipe: str) -> bool:
    """Whether the image model that `recipe` (a name or a file) grows is missing, or was begun here and not ended."""
    name = Path(recipe).stem
    run = home() / "runs" / name / "images"
    return not (home() / "models" / name).is_dir() or (run.is_dir() and not (run / "stamp.json").is_file())


@contextlib.contextmanager
def growing(recipe: str) -> Iterator[None]:
    """Grow the image model of `recipe` while the block runs; what its process says goes to a log."""
    name = Path(recipe).stem
    log, progress = home() / "logs" / f"growing-{name}.log", progress_file(name)
    progress.parent.mkdir(parents=True, exist_ok=True)
    if not progress.exists():
        write_whole(progress, json.dumps({"share": 0.0}))
    progress.touch()
    with in_background("training.background", [recipe], log) as process:
        watcher = threading.Thread(target=_vouch, args=(process, progress), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            process.stdin.close()
            watcher.join()


@contextlib.contextmanager
def in_background(module: str, arguments: list[str], log: Path) -> Iterator[subprocess.Popen]:
    """Run `python -m module` on a leash while the block runs; what it says goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, leash.__file__, sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


def _vouch(process: subprocess.Popen, progress: Path) -> None:
    """Keep the file fresh while the training imports and compiles; once it has stopped, nobody shall believe it."""
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            os.utime(progress)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STILL_THERE_S)
    with contextlib.suppress(FileNotFoundError):
        os.utime(progress, (0, 0))


def give_way() -> None:
    """Run when nobody else wants to.

    Where Linux schedules sessions as groups, being nice counts only inside one, so this one's is told as well.
    """
    os.nice(LOWEST)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(LOWEST))


def main(recipe: str) -> int:
    """Grow `recipe`; the exit code."""
    give_way()
    from training.pipeline import run_recipe
    from training.recipe import load_recipe

    try:
        run_recipe(load_recipe(recipe))
    except UserError as error:
        print(error, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
