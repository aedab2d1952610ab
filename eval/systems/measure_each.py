"""The same suites asked of several systems, one after the other: a run each, below one folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from eval.lm_eval.ask import is_lm_eval
from eval.measure import Measurement, measure
from eval.result import Result
from eval.suite import joined
from eval.systems.named import Named
from serving.errors import UserError
from serving.home import home
from serving.model_folder import resolve_model

Failures = dict[str, str]
"""Name of a system -> why it could not be measured to the end."""


def folder_of_runs() -> Path:
    """A new folder for the runs, where the user names none."""
    return home() / "reports" / f"systems-{datetime.now():%Y%m%d-%H%M%S}"


def measure_each(
    wanted: Measurement,
    systems: Sequence[Named],
    folder: Path,
    on_start: Callable[[Named], None],
    on_failure: Callable[[Named, str], None],
) -> tuple[list[Result], Failures]:
    """What was found of each system that could be measured, and why the others could not.

    All are asked the exam of the first. A system that fails does not keep the others from being measured; the same call
    with the same folder asks only what is missing. Raises `UserError`, before anything is asked, for a model or a suite
    that does not exist.
    """
    if not is_lm_eval(wanted.suites):
        joined(wanted.suites)
    for system in systems:
        if system.base_url is None:
            resolve_model(system.model)
    results, failures = [], {}
    for system in systems:
        on_start(system)
        try:
            results.append(measure(_measurement(wanted, system, systems[0], folder)))
        except UserError as error:
            failures[system.name] = str(error)
            on_failure(system, str(error))
    return results, failures


def _measurement(wanted: Measurement, system: Named, first: Named, folder: Path) -> Measurement:
    exam = (first.model or "").rstrip("/").split("/")[-1]
    key = system.api_key if system.base_url else wanted.api_key
    asked = replace(wanted, model=system.model, base_url=system.base_url, api_key=key)
    return replace(asked, out=folder / system.name, exam=exam, called=system.name)
