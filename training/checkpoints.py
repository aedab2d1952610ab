"""Checkpoints that are either whole or not there.

The Trainer writes a checkpoint file by file. A last file with the sizes of all others makes it whole; a checkpoint
without it, or with a file of another size, is a half-written or damaged one and is passed over.
"""

import json
import os
import shutil
from pathlib import Path

MARK = "whole.json"


def write_whole(path: Path, text: str) -> None:
    """Write a small file so that it is there with all of its text or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def mark_whole(checkpoint: Path, seconds: float) -> None:
    """Say that everything in the folder `checkpoint` is written; `seconds` is the training time up to here."""
    sizes = {file.name: file.stat().st_size for file in sorted(checkpoint.iterdir()) if file.name != MARK}
    write_whole(checkpoint / MARK, json.dumps({"sizes": sizes, "seconds": seconds}))


def is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / MARK).read_text(encoding="utf-8"))["sizes"]
    except (OSError, ValueError):
        return False
    files = {file.name: file.stat().st_size for file in checkpoint.iterdir()}
    return all(files.get(name) == size for name, size in sizes.items())


def latest_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`. Those after it are removed: the Trainer would write into them."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def seconds_so_far(checkpoint: Path) -> float:
    return json.loads((checkpoint / MARK).read_text(encoding="utf-8"))["seconds"]


def step_of(checkpoint: Path) -> int:
    """The number of optimizer steps after which `checkpoint` was written."""
    return int(checkpoint.name.rpartition("-")[2])
