"""How a finished folder gets to where models are looked for, and what is written about it."""

import importlib.metadata
import shutil
from pathlib import Path

PACKAGES = ("torch", "transformers", "tokenizers", "trl")


def versions() -> dict[str, str]:
    """The packages on which the numbers of a model depend."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def replace_folder(target: Path, source: Path) -> None:
    """Put the folder `source` where `target` is; a reader finds the old one or the new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)
