"""What a suite is: the tasks that answer one question a user asks. One file in `eval/suites/` each, or one in YAML.

name: ours
tasks:
  - name: capitals
    data: capitals.jsonl
    prompt: "{question}"
    variants: [{typos: 0.05}, {case: upper}]
    scores: [right]
    cluster: id
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import eval.suites
from eval.figures import Section
from eval.records import Record
from eval.task import Task
from serving.errors import UserError

DEFAULT = "assistant"


@dataclass(frozen=True)
class Suite:
    """Tasks that belong together."""

    name: str
    about: str
    """The question that it answers, in one sentence."""
    tasks: Sequence[Task]
    headlines: Sequence[str] = ()
    """Keys of the figures ("<task>.<key>") that a report shows first, the most decisive one first."""
    figures: Callable[[Sequence[Record]], list[Section]] | None = None
    """What the records of several tasks say together, if anything."""


def suite_names() -> list[str]:
    """The suites there are: one module each in `eval/suites/`."""
    return sorted(module.name for module in pkgutil.iter_modules(eval.suites.__path__))


def find_suite(name: str) -> Suite:
    """The suite called `name`, or the one in the YAML file of that name. Raises `UserError` naming those there are."""
    if name.endswith((".yaml", ".yml")):
        from eval.declared import read_suite

        return read_suite(Path(name))
    if name not in suite_names():
        raise UserError(
            f"There is no suite {name!r}: name one of {', '.join(suite_names())}, or a YAML file of your own."
        )
    return importlib.import_module(f"eval.suites.{name}").SUITE


def joined(names: Sequence[str]) -> Suite:
    """The named suites as one; a task that several of them have is asked once."""
    suites = [find_suite(name) for name in names]
    if len(suites) == 1:
        return suites[0]
    tasks = {task.name: task for suite in suites for task in suite.tasks}
    shared = [suite.figures for suite in suites if suite.figures]
    return Suite(
        name="+".join(suite.name for suite in suites),
        about=" ".join(suite.about for suite in suites),
        tasks=tuple(tasks.values()),
        headlines=tuple(dict.fromkeys(key for suite in suites for key in suite.headlines)),
        figures=lambda records: [section for summarise in shared for section in summarise(records)],
    )
