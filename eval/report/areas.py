"""What a report is about: the questions that people ask of a model, each answered by some of the suites."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from eval.suite import find_suite, suite_names

AREAS = {
    "Quality": ("almanac", "language", "breadth"),
    "Hallucination": ("hallucination",),
    "Rewording": ("robustness",),
    "Tools": ("tools",),
    "Bias": ("bias", "bias_in_pictures"),
    "Safety": ("safety",),
    "Privacy": ("privacy",),
    "Prompting": ("prompting",),
    "Similarity": ("similarity", "embedder"),
    "Pictures": ("images",),
    "Speed": ("speed",),
}
"""In the order in which they are read. `assistant` is made of others, and nothing is judged unless asked so."""
_TITLES = {suite: area for area, suites in AREAS.items() for suite in suites}


def area_of(task: str, suites: Sequence[str]) -> str:
    """What a task of a run of these suites is about; a suite of the user's own is an area of its own."""
    for name in suites:
        is_ours = name in suite_names()
        if (not is_ours or name in _TITLES) and any(own.name == task for own in find_suite(name).tasks):
            return _TITLES[name] if is_ours else Path(name).stem
    return _areas().get(task, task)


def in_order(areas: Iterable[str]) -> list[str]:
    """Those of the user's own first, then as they are read."""
    places = list(AREAS)
    return sorted(areas, key=lambda area: places.index(area) if area in places else -1)


def headlines_of(area: str) -> list[str]:
    """What the project's suites about it show first."""
    return [key for name in _suites_about(area) for key in find_suite(name).headlines]


def askable() -> list[str]:
    """The areas that some suite of the project is about."""
    return [area for area in AREAS if _suites_about(area)]


def _suites_about(area: str) -> list[str]:
    return [name for name in AREAS[area] if name in suite_names()] if area in AREAS else []


@cache
def _areas() -> dict[str, str]:
    """Task -> area, by the first suite in the order of `AREAS` that has it; those of no area are made of others."""
    areas: dict[str, str] = {}
    for area in AREAS:
        for name in _suites_about(area):
            areas = dict.fromkeys((task.name for task in find_suite(name).tasks), area) | areas
    return areas
