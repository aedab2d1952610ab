"""The newest run of a model among everything that was ever measured here."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eval.data import Inputs
from eval.run import plan
from eval.suite import find_suite
from serving.home import home

NEARLY_ALL = 0.95
"""Of its requests, a run must have answers to as many as this to be shown when nobody has named it."""


def newest_run(suite: str, model: str, model_sha256: str | None) -> Path | None:
    """The newest finished run of a suite as a user meets the model: with its own system prompt, and with tools.

    Only one that asked as much as the suite does by itself, and got nearly all of it answered.
    """
    wanted = {"suite": suite, "model": model, "model_sha256": model_sha256, "plain": False, "system": None}
    due = Counter(case.task for case in plan(find_suite(suite), Inputs()).cases)
    return _newest("summary.json", (folder for folder in _runs(wanted) if _is_whole(folder, due)))


def newest_report(model: str) -> Path | None:
    """The newest report about the model of this name, if there is one."""
    folder = _newest("report.html", _runs({"model": model}))
    return folder / "report.html" if folder else None


def _runs(wanted: dict[str, Any]) -> list[Path]:
    """The folders of all runs whose identity has the wanted entries."""
    folders = [path.parent for path in sorted((home() / "reports").glob("*/run.json"))]
    return [folder for folder in folders if wanted == {name: _read(folder / "run.json").get(name) for name in wanted}]


def _newest(file: str, folders: Iterable[Path]) -> Path | None:
    made = {folder: (folder / file).stat().st_mtime for folder in folders if (folder / file).exists()}
    return max(made, key=made.__getitem__, default=None)


def _is_whole(folder: Path, due: Counter[str]) -> bool:
    summary = _read(folder / "summary.json")
    asked = Counter({name: task["cases"] for name, task in summary.get("tasks", {}).items()})
    return asked >= due and summary["asked"] - summary["errors"] >= NEARLY_ALL * asked.total()


def _read(path: Path) -> dict[str, Any]:
    """The object in the file; an empty one where there is none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
