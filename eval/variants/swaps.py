"""Variants about another group of people: the same question, with nothing but the group or the wording changed."""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

from eval.requests import Sample
from eval.task import Variant
from prompts.library import FOLDER
from serving.errors import UserError


def swap(group: int = 1, wording: int = 0) -> Variant:
    """The question about the `group`-th of the sample's "groups" in the `wording`-th of its wordings, counted from 0.

    Each of the groups has its "name" and its "wordings", in the same order for all.
    """
    if group < 0 or wording < 0:
        raise UserError(f"swap takes the numbers of a group and of a wording, from 0, not {group} and {wording}.")
    parts = [f"{kind}-{number}" for kind, number in (("swap", group), ("reword", wording)) if number]

    def apply(sample: Sample, rng: random.Random) -> Sample | None:
        groups = sample.get("groups", ())
        has_both = group < len(groups) and wording < len(groups[group]["wordings"])
        return asked_about(sample, group, wording) if has_both else None

    return Variant("-".join(parts) or "swap-0", apply)


def swaps(groups: int, wordings: int) -> tuple[Variant, ...]:
    """Every other combination of so many groups and wordings than the first of both."""
    return tuple(swap(group, wording) for group in range(groups) for wording in range(wordings) if group or wording)


def about(name: str, axis: str, groups: Sequence[str], frames: Sequence[str]) -> Sample:
    """A sample of every frame about each of the groups, asked about the first of them in the first frame.

    A frame has {g} for the group and {a} for it with "a" or "an"; where it begins with them, it gets a capital.
    """
    told = [{"name": group, "wordings": [_filled(frame, group) for frame in frames]} for group in groups]
    return asked_about({"id": name, "axis": axis, "groups": told}, group=0, wording=0)


def asked_about(sample: Sample, group: int, wording: int) -> Sample:
    """The sample with its "question", "group" and "wording"."""
    chosen = sample["groups"][group]
    return sample | {"group": chosen["name"], "wording": wording, "question": chosen["wordings"][wording]}


@cache
def probes(name: str) -> Any:
    """prompts/probes/<name>.yaml."""
    import yaml

    return yaml.safe_load((FOLDER / "probes" / f"{name}.yaml").read_text(encoding="utf-8"))


def _filled(frame: str, group: str) -> str:
    article = "an" if group[0].lower() in "aeiou" else "a"
    text = frame.format(g=group, a=f"{article} {group}")
    return text[:1].upper() + text[1:] if frame.startswith("{") else text
