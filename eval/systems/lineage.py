"""The stages of one assistant in the order in which it was grown, whatever order their runs are named in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.result import Result

STAGES = ("pretrain", "sft")
"""All others, as those that align, come after these."""


def kept_lineage(folder: Path | None) -> dict[str, Any] | None:
    """What run.json keeps of the lineage of a model folder; None for a model that was not grown here."""
    from serving.model_folder import ModelFolderError, read_lineage

    try:
        return read_lineage(folder).model_dump(include={"stage", "recipe", "parent_sha256"}) if folder else None
    except ModelFolderError:
        return None


def stage_of(result: Result) -> str:
    """ "sft", or "" where it is not known."""
    return (result.identity.get("lineage") or {}).get("stage", "")


def in_order_of_growth(results: Sequence[Result]) -> list[Result]:
    """Runs of one recipe together, each after its parent, and otherwise as they were named."""
    recipes = [(result.identity.get("lineage") or {}).get("recipe") or str(result.folder) for result in results]
    grouped = [
        [result for result, own in zip(results, recipes, strict=True) if own == recipe]
        for recipe in dict.fromkeys(recipes)
    ]
    return [result for group in grouped for result in _after_their_parents(group)]


def _after_their_parents(group: Sequence[Result]) -> list[Result]:
    waiting, ordered = sorted(group, key=_rank), []
    while waiting:
        due = {result.identity["model_sha256"] for result in waiting}
        ready = next((result for result in waiting if _parent(result) not in due), waiting[0])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _rank(result: Result) -> int:
    stage = stage_of(result)
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _parent(result: Result) -> str | None:
    """The sha256 of the model that this one was made from; nobody is their own parent."""
    parent = (result.identity.get("lineage") or {}).get("parent_sha256")
    return parent if parent != result.identity["model_sha256"] else None
