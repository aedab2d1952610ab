"""Suites in YAML: the same fields as in Python, with scores, variants and requests by name."""

import random
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from eval.data import user_rows
from eval.figures import means
from eval.replies import Answer, NoAnswer, Scored
from eval.requests import Asking, chat, choice, document
from eval.scores.score import Sample, Score, find_score
from eval.scores.similarity import naming_the_embedder
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

    def needs(self, row: Sample) -> set[str]:
        """The fields that the row must have, whatever its scores need."""
        if self.kind == "likelihood":
            return {self.text, self.cluster}
        asked = set() if self.kind == "generate" and row.get("messages") else _fields(self.prompt)
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
        _check_headlines(declared.headlines, tasks)
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


def _check_headlines(headlines: list[str], tasks: Sequence[Task]) -> None:
    known = [
        f"{task.name}.{score.name}{part}"
        for task in tasks
        for score in task.scores
        for part in ("", *(f".variant.{v}" for v in ("original", *(variant.name for variant in task.variants))))
    ]
    for key in headlines:
        if key not in known:
            (nearest,) = get_close_matches(key, known, n=1, cutoff=0.0)
            raise UserError(f"headlines: there is no figure {key!r}: did you mean {nearest}?")


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
    scores = [_score(name, declared.kind) for name in declared.scores]
    task = Task(
        name=declared.name,
        data=lambda inputs: _samples(folder / declared.data, declared, task),
        asking=_asking(declared),
        scores=scores,
        variants=[_variant(entry) for entry in declared.variants],
        cluster=declared.cluster,
        repeats=declared.repeats,
        figures=naming_the_embedder(means(scores)),
        size=declared.limit,
        about=declared.about,
    )
    return task


def _samples(path: Path, declared: Declared, task: Task) -> list[Sample]:
    """The data, once it is sure that no line lacks what its request, its variants or its scores need."""
    samples = []
    for number, row in enumerate(user_rows(path), 1):
        try:
            samples.append(_sample({"id": str(number)} | row, declared, task))
        except ValueError as fault:
            raise UserError(f"{path}:{number} {fault}, or change the task.") from None
    return samples


def _sample(row: Sample, declared: Declared, task: Task) -> Sample:
    """The row with its text and options where scores look for them. Raises ValueError that says what is wrong."""
    if missing := sorted(declared.needs(row) - row.keys()):
        raise ValueError(f"has no {missing[0]!r}, which the task {task.name} names: add it")
    if declared.kind == "generate" and row.get("messages") and not _is_chat(row["messages"]):
        raise ValueError("has 'messages' that are no list of objects with a \"role\": correct them")
    if declared.kind == "likelihood":
        row |= {"text": row[declared.text]}
    if declared.kind == "choose":
        row |= {"choices": row[declared.choices]}
        _check_options(row, declared.choices)
    trials = [(f"the variant {v.name}", partial(v.apply, dict(row), random.Random(0))) for v in task.variants]
    trials += [(f"the score {score.name}", partial(score, row, _empty(row, declared))) for score in task.scores]
    for user, use in trials:
        _try(user, use)
    return row


def _is_chat(messages: Any) -> bool:
    return isinstance(messages, list) and all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages)


def _check_options(row: Sample, field: str) -> None:
    options = row["choices"]
    if not isinstance(options, list) or len(options) < 2 or not all(isinstance(option, str) for option in options):
        raise ValueError(f"has other {field!r} than a list of two or more texts: give one, in JSONL")
    if "answer" in row and row["answer"] not in range(len(options)):
        raise ValueError(f"has the 'answer' {row['answer']!r}: give the place of the right option, the first being 0")


def _try(user: str, use: Callable[[], Any]) -> None:
    try:
        use()
    except UserError:
        raise
    except NoAnswer:
        return
    except KeyError as error:
        raise ValueError(f"has no {error.args[0]!r}, which {user} needs: add it") from None
    except Exception as error:
        raise ValueError(f"is nothing for {user} ({type(error).__name__}: {error}): correct it") from None


def _empty(row: Sample, declared: Declared) -> Answer | Scored:
    """A reply that says nothing, to try scores on."""
    if declared.kind == "generate":
        return Answer("")
    options = len(row["choices"]) if declared.kind == "choose" else 1
    return Scored([0.0] * options, [1] * options)


def _asking(declared: Declared) -> Asking:
    if declared.kind == "choose":
        return choice(declared.prompt)
    if declared.kind == "likelihood":
        return document()
    return chat(declared.prompt, declared.max_tokens, temperature=declared.temperature)


def _score(name: str, kind: str) -> Score:
    score, given = find_score(name), REPLIES[kind]
    takes = get_type_hints(score.function).get("reply", given)
    if takes is not given:
        raise UserError(f"The score {name} is for replies of the kind {takes.__name__}, not for a task that is {kind}.")
    if str in _alternatives(get_type_hints(score.function).get("return")):
        raise UserError(
            f"The score {name} names an outcome, which has no mean: name another, or write the suite in Python."
        )
    return score


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the one that it is."""
    return get_args(kind) or (kind,)


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
