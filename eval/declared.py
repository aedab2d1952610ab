"""Suites in YAML: the same fields as in Python, with scores, variants and requests by name."""

import random
import re
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from eval.data import rows
from eval.replies import Answer, Scored
from eval.requests import Asking, chat, choice, document
from eval.scores.score import Sample, Score, find_score
from eval.suite import Suite
from eval.task import Task, Variant
from eval.variants import find_variant
from serving.errors import UserError

REPLIES = {"generate": Answer, "choose": Scored, "likelihood": Scored}
"""Kind of request -> what its scores are given."""


class Declared(BaseModel):
    """One task. `data` is a path, relative to the YAML file."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[\w-]+$")
    data: Path
    about: str = ""
    kind: Literal["generate", "choose", "likelihood"] = "generate"
    prompt: str = "{question}"
    choices: str = "choices"
    text: str = "text"
    max_tokens: int = Field(96, ge=1)
    variants: list[str | dict[str, Any]] = []
    scores: list[str] = Field(min_length=1)
    cluster: str = "id"
    repeats: int = Field(1, ge=1)
    temperature: float = Field(0.0, ge=0)
    limit: int | None = Field(None, ge=1)

    @field_validator("prompt")
    @classmethod
    def _names_fields(cls, prompt: str) -> str:
        if "" in _fields(prompt):
            raise ValueError("name the field that goes into {}, or write {{}} for the marks themselves")
        return prompt

    @property
    def needs(self) -> set[str]:
        """The fields that every line of the data must have, whatever its scores need."""
        asked = {self.text} if self.kind == "likelihood" else _fields(self.prompt)
        return asked | {self.cluster} | ({self.choices} if self.kind == "choose" else set())


class DeclaredSuite(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    about: str = ""
    tasks: list[Declared] = Field(min_length=1)
    headlines: list[str] = []

    @field_validator("tasks")
    @classmethod
    def _have_names_of_their_own(cls, tasks: list[Declared]) -> list[Declared]:
        names = [task.name for task in tasks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two tasks are called {twice!r}")
        return tasks


def read_suite(path: Path) -> Suite:
    """The suite that a YAML file declares. Raises `UserError` naming the file and the key that cannot be used."""
    try:
        declared = DeclaredSuite.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        tasks = tuple(_task(task, path.parent) for task in declared.tasks)
    except FileNotFoundError:
        raise UserError(f"There is no suite file {path}: check its name.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"The suite {path} cannot be read ({said}): it must be YAML in UTF-8.") from None
    except ValidationError as error:
        raise UserError(f"The suite {path} cannot be used: {_explained(error)}.") from None
    except UserError as error:
        raise UserError(f"The suite {path} cannot be used: {error}") from None
    return Suite(str(path.absolute()), declared.about, tasks, declared.headlines)


def _fields(prompt: str) -> set[str]:
    """The names in braces. Raises ValueError where the braces don't match."""
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(prompt) if name is not None}


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    *parents, last = first["loc"] or ("the file",)
    place = ".".join(map(str, [*parents, last]))
    if first["type"] == "extra_forbidden":
        known = DeclaredSuite if not parents else Declared
        return f"{place} is no key that is known: use {', '.join(known.model_fields)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"


def _task(declared: Declared, folder: Path) -> Task:
    task = Task(
        name=declared.name,
        data=lambda inputs: _samples(folder / declared.data, declared, task),
        asking=_asking(declared),
        scores=[_score(name, declared.kind) for name in declared.scores],
        variants=[_variant(entry) for entry in declared.variants],
        cluster=declared.cluster,
        repeats=declared.repeats,
        size=declared.limit,
        about=declared.about,
    )
    return task


def _samples(path: Path, declared: Declared, task: Task) -> list[Sample]:
    """The data, once it is sure that no line lacks what its request, its variants or its scores need."""
    samples = [{"id": str(number)} | row for number, row in enumerate(rows(path), 1)]
    for number, sample in enumerate(samples, 1):
        if lacking := _lacking(sample, declared, task):
            raise UserError(f"{path}:{number} has no {lacking}: add it, or change the task.")
    return samples


def _lacking(sample: Sample, declared: Declared, task: Task) -> str:
    """The field that the sample lacks and what needs it, or "" for none; scores are tried on an empty reply."""
    if missing := sorted(declared.needs - sample.keys()):
        return f"{missing[0]!r}, which the task {task.name} names"
    empty = Answer("") if declared.kind == "generate" else Scored([0.0], [1])
    trials = [(f"the variant {v.name}", partial(v.apply, dict(sample), random.Random(0))) for v in task.variants]
    trials += [(f"the score {score.name}", partial(score, sample, empty)) for score in task.scores]
    for user, use in trials:
        try:
            use()
        except KeyError as error:
            return f"{error.args[0]!r}, which {user} needs"
    return ""


def _asking(declared: Declared) -> Asking:
    if declared.kind == "choose":
        return choice(declared.prompt, declared.choices)
    if declared.kind == "likelihood":
        return document(declared.text)
    return chat(declared.prompt, declared.max_tokens, temperature=declared.temperature)


def _score(name: str, kind: str) -> Score:
    score, given = find_score(name), REPLIES[kind]
    takes = get_type_hints(score.function).get("reply", given)
    if takes is not given:
        raise UserError(f"The score {name} is for replies of the kind {takes.__name__}, not for a task that is {kind}.")
    return score


def _variant(entry: str | dict[str, Any]) -> Variant:
    """`politeness`, `case: upper`, or `name: {argument: value}`."""
    if isinstance(entry, str):
        return find_variant(entry)
    if len(entry) != 1:
        raise UserError(f"A variant is a name, or one name with what it takes, not {len(entry)} names together.")
    ((name, argument),) = entry.items()
    if isinstance(argument, dict):
        return find_variant(name, **{str(key): value for key, value in argument.items()})
    return find_variant(name, argument)
