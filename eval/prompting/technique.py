"""A prompting technique: a YAML file that says which messages a question becomes, and how its answer is read.

title: Few-shot, 3 examples
about: three other questions with their answers go before
examples: 3
messages:
  - system: "{{ system }}"
  - examples:
      - user: "{{ question }}"
      - assistant: "{{ answer }}"
  - user: "{{ question }}"
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from prompts.library import FOLDER
from serving.errors import UserError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

REFERENCE = "zero_shot"
"""What every other technique is compared with."""
OURS = FOLDER / "techniques"
MOST_EXAMPLES, MOST_PASSAGES = 16, 10
ROLES, TURNS = ("system", "user", "assistant", "examples"), ("user", "assistant")
GIVEN, GIVEN_TO_EXAMPLES = ("question", "system", "passages"), ("question", "answer")
"""What templates may name; `answer` is "" in an example whose question nobody can answer."""


class Technique(BaseModel):
    """The name is that of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^\w[\w-]*$")
    title: str = Field(min_length=1)
    about: str = ""
    source: str = ""
    examples: int = Field(0, ge=0, le=MOST_EXAMPLES)
    """Other questions with their answers, drawn anew for every question."""
    unknown_examples: int = Field(0, ge=0, le=MOST_EXAMPLES)
    """So many more that nobody can answer, to show that it may be said."""
    passages: int = Field(0, ge=0, le=MOST_PASSAGES)
    """Found for the question in the documents that the user names."""
    samples: int = Field(1, ge=1, le=64)
    """How often a question is asked, each time with another seed; the answer given most often counts."""
    temperature: float = Field(0.0, ge=0, le=2)
    max_tokens: int = Field(96, ge=1)
    answer_after: str = ""
    """The answer is what follows the last of these marks; the last line where there is none. "": the whole reply."""
    messages: list[dict[str, Any]] = Field(min_length=1)

    @field_validator("messages")
    @classmethod
    def _are_templates(cls, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for place, entry in enumerate(messages):
            _check_entry(place, entry)
        if "user" not in messages[-1] or "question" not in _names(messages[-1]["user"]):
            raise ValueError("the last one must be the user's and hold {{ question }}")
        return messages

    @model_validator(mode="after")
    def _fits_together(self) -> "Technique":
        shows = any("examples" in entry for entry in self.messages)
        searches = any("passages" in _names(text) for entry in self.messages for text in entry.values())
        for key, count, used in (
            ("examples", self.examples + self.unknown_examples, shows),
            ("passages", self.passages, searches),
        ):
            if bool(count) != used:
                raise ValueError(f"{key}: say how many, and use them in messages; one without the other is a mistake")
        if self.samples > 1 and not self.temperature:
            raise ValueError("temperature: several samples are all the same at 0, so give it")
        return self

    def render(
        self, system: str, question: str, examples: Sequence[tuple[str, str]] = (), passages: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """The messages to send; one that comes out empty, as a system prompt that is left out, is none of them."""
        turns: list[tuple[str, str]] = []
        for ((role, body),) in map(dict.items, self.messages):
            if role != "examples":
                turns.append((role, _filled(body, system=system, question=question, passages=passages)))
                continue
            for asked, answer in examples:
                turns += [(r, _filled(t, question=asked, answer=answer)) for entry in body for r, t in entry.items()]
        return [{"role": role, "content": content} for role, content in turns if content]

    def as_asked(self) -> dict[str, Any]:
        """What a record keeps of it: enough to ask and to score again without the file."""
        return self.model_dump(include={"name", "title", "samples", "temperature", "max_tokens", "answer_after"})


def read_techniques(folder: Path | None = None) -> list[Technique]:
    """The techniques in a folder's YAML files, or the project's, zero-shot first; it is ours where there is none.

    Raises `UserError` naming the file and the key that cannot be used.
    """
    paths = {path.stem: path for path in sorted((folder or OURS).glob("*.y*ml"))}
    if not paths:
        raise UserError(
            f"There are no prompts in {folder}: name a folder of YAML files such as prompts/techniques/ has."
        )
    paths = {REFERENCE: OURS / f"{REFERENCE}.yaml"} | paths
    return [_read(path) for path in paths.values()]


def _read(path: Path) -> Technique:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(fields, dict):
            raise ValueError("it must hold keys and values, such as title and messages")
        return Technique(**fields | {"name": path.stem})
    except ValidationError as error:
        raise UserError(f"The prompt {path} cannot be used: {_explained(error)}.") from None
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"The prompt {path} cannot be read: {' '.join(str(error).split())}.") from None


def _explained(error: ValidationError) -> str:
    first = error.errors()[0]
    place, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = (name for name in Technique.model_fields if name != "name")
        return f"{place} is no key that is known: use {', '.join(known)}"
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["loc"] == ("name",):
        return "name: it is that of the file, and may have letters, digits, _ and - only"
    return f"{place}: {said}" if place else said


def _check_entry(place: int, entry: Mapping[str, Any]) -> None:
    """Raises ValueError naming what is wrong with one of the messages, counted from 0."""
    role, body = _only(entry, ROLES, f"{place}")
    if role != "examples":
        _check_template(body, GIVEN, f"{place}.{role}")
        return
    if not isinstance(body, list) or not body:
        raise ValueError(f"{place}.examples must be a list of user and assistant messages")
    for number, turn in enumerate(body):
        who, text = _only(turn, TURNS, f"{place}.examples.{number}")
        _check_template(text, GIVEN_TO_EXAMPLES, f"{place}.examples.{number}.{who}")


def _only(entry: Any, known: Sequence[str], place: str) -> tuple[str, Any]:
    if not isinstance(entry, dict) or len(entry) != 1 or (role := next(iter(entry))) not in known:
        raise ValueError(f"{place} must be one of {', '.join(known)}, a colon and what it says")
    return role, entry[role]


def _check_template(text: Any, given: Sequence[str], place: str) -> None:
    from jinja2 import TemplateError

    if not isinstance(text, str):
        raise ValueError(f"{place} must be a text")
    try:
        unknown = sorted(_names(text) - set(given))
    except TemplateError as error:
        raise ValueError(f"{place} is no Jinja template ({error})") from None
    if unknown:
        raise ValueError(f"{place}: there is no {{{{ {unknown[0]} }}}}, only {', '.join(given)}")
    try:
        # Fewer passages are found than are asked for where few share a word with the question.
        _filled(text, **dict.fromkeys(given, "") | ({"passages": []} if "passages" in given else {}))
    except Exception as error:
        raise ValueError(f"{place} cannot be filled in ({error})") from None


def _names(text: Any) -> set[str]:
    """The names that a template expects to be given; none for what is no text."""
    from jinja2.meta import find_undeclared_variables

    return find_undeclared_variables(_environment().parse(text)) if isinstance(text, str) else set()


def _filled(text: str, **given: Any) -> str:
    return _template(text).render(**given).strip()


@cache
def _template(text: str) -> "Template":
    return _environment().from_string(text)


@cache
def _environment() -> "SandboxedEnvironment":
    """Sandboxed: a prompt may come from anybody."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
