"""Suites in YAML: the same fields as in Python, with scores, variants and requests by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.data import Inputs, rows
from eval.requests import Asking, chat, choice, document
from eval.scores.score import Sample, find_score
from eval.suite import Suite
from eval.task import Task, Variant
from eval.variants import find_variant
from serving.errors import UserError


class Declared(BaseModel):
    """One task. `data` is a path, relative to the YAML file."""

    model_config = ConfigDict(extra="forbid")
    name: str
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


class DeclaredSuite(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    about: str = ""
    tasks: list[Declared] = Field(min_length=1)
    headlines: list[str] = []


def read_suite(path: Path) -> Suite:
    """The suite that a YAML file declares. Raises `UserError` naming the file and the key that cannot be used."""
    try:
        declared = DeclaredSuite.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"There is no suite file {path}: check its name.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"The suite {path} cannot be read ({said}): it must be YAML in UTF-8.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"The suite {path} cannot be used: {key}: {first['msg']}.") from None
    tasks = tuple(_task(task, path) for task in declared.tasks)
    return Suite(str(path.absolute()), declared.about, tasks, declared.headlines)


def _task(declared: Declared, path: Path) -> Task:
    return Task(
        name=declared.name,
        data=_reader(path.parent / declared.data),
        asking=_asking(declared),
        scores=[find_score(name) for name in declared.scores],
        variants=[_variant(entry) for entry in declared.variants],
        cluster=declared.cluster,
        repeats=declared.repeats,
        size=declared.limit,
        about=declared.about,
    )


def _reader(path: Path) -> Callable[[Inputs], list[Sample]]:
    return lambda inputs: [{"id": str(number)} | row for number, row in enumerate(rows(path), 1)]


def _asking(declared: Declared) -> Asking:
    if declared.kind == "choose":
        return choice(declared.prompt, declared.choices)
    if declared.kind == "likelihood":
        return document(declared.text)
    return chat(declared.prompt, declared.max_tokens, temperature=declared.temperature)


def _variant(entry: str | dict[str, Any]) -> Variant:
    """`case: upper` or plain `politeness`."""
    if isinstance(entry, str):
        return find_variant(entry)
    ((name, argument),) = entry.items()
    return find_variant(name, argument)
