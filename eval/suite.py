"""What a suite is: the tasks that answer one question a user asks. One file in `eval/suites/` each.

Users have theirs elsewhere: in a Python file that binds SUITE (or TASK, if it is one), or in YAML:

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
import runpy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import eval.suites
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
    joined_from: Sequence[str] = ()
    """The names of the suites that it is made of; none where it is one itself."""

    @property
    def names(self) -> list[str]:
        """What `joined` makes it from."""
        return list(self.joined_from) or [self.name]


def suite_names() -> list[str]:
    """The suites there are: one module each in `eval/suites/`."""
    return sorted(module.name for module in pkgutil.iter_modules(eval.suites.__path__))


def find_suite(name: str) -> Suite:
    """The suite called `name`, or the one in the YAML or Python file of that name.

    Raises `UserError` naming those there are, or what is wrong with the file.
    """
    if name.startswith("lm-eval:"):
        from eval.lm_eval.suite import lm_eval_suite

        return lm_eval_suite(name)
    if name.endswith((".yaml", ".yml")):
        from eval.declared import read_suite

        return read_suite(Path(name))
    if name.endswith(".py"):
        return _written_in_python(Path(name))
    if name not in suite_names():
        raise UserError(
            f"There is no suite {name!r}: name one of {', '.join(suite_names())}, or a YAML or Python file of your own."
        )
    return importlib.import_module(f"eval.suites.{name}").SUITE


def _written_in_python(path: Path) -> Suite:
    """The suite of a user's own file, called by its absolute path so that its runs can be read from anywhere."""
    try:
        bound = runpy.run_path(str(path))
    except Exception as error:
        raise UserError(f"The suite {path} cannot be used: {type(error).__name__}: {error}.") from None
    match bound.get("SUITE"), bound.get("TASK"):
        case Suite() as suite, _:
            pass
        case None, Task() as task:
            suite = Suite("", task.about, (task,))
        case _:
            raise UserError(f"The suite {path} cannot be used: bind SUITE to a Suite in it, or TASK to a Task.")
    if dotted := next((task.name for task in suite.tasks if "." in task.name), None):
        raise UserError(
            f"The suite {path} cannot be used: the task {dotted!r} has a dot in its name, which ends it in keys."
        )
    return replace(suite, name=str(path.absolute()))


def joined(names: Sequence[str]) -> Suite:
    """The named suites as one; a task that several of them have is asked once."""
    suites = [find_suite(name) for name in names]
    if len(suites) == 1:
        return suites[0]
    tasks = {task.name: task for suite in suites for task in suite.tasks}
    return Suite(
        name="+".join(suite.name for suite in suites),
        about=" ".join(suite.about for suite in suites),
        tasks=tuple(tasks.values()),
        headlines=tuple(dict.fromkeys(key for suite in suites for key in suite.headlines)),
        joined_from=tuple(suite.name for suite in suites),
    )
