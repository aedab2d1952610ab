"""The newest run of a model among everything that was ever measured here."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.home import home


def newest_run(suite: str, model: str, model_sha256: str | None) -> Path | None:
    """The newest finished run of a suite as a user meets the model: with its own system prompt, and with tools."""
    wanted = {"suite": suite, "model": model, "model_sha256": model_sha256, "plain": False, "system": None}
    return _newest("summary.json", wanted)


def newest_report(model: str) -> Path | None:
    """The newest report about the model of this name, if there is one."""
    folder = _newest("report.html", {"model": model})
    return folder / "report.html" if folder else None


def _newest(file: str, wanted: dict[str, Any]) -> Path | None:
    made = {
        path.parent: (path.parent / file).stat().st_mtime
        for path in sorted((home() / "reports").glob("*/run.json"))
        if (path.parent / file).exists() and wanted.items() <= dict(_identity(path)).items()
    }
    return max(made, key=made.__getitem__, default=None)


def _identity(path: Path) -> Iterator[tuple[str, Any]]:
    """What can be compared of a run's identity; nothing where the file is no identity."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return
    if isinstance(read, dict):
        yield from ((name, value) for name, value in read.items() if isinstance(value, str | bool | None))
