"""What a suite is: questions, how each is asked, how an answer is scored, and what the records say together.

A suite is one file in `eval/suites/` that binds `SUITE`; the runner owns concurrency, retries, caching and resume.
A whole one:

    from eval.scores.values import states_value
    from eval.suite import Suite, chat_request
    from eval.summary import shares

    SUITE = Suite(
        name="capitals",
        exam="exams/capitals/dev.jsonl",
        made_by="write one question a line",
        needs=("answers",),
        request=chat_request(max_tokens=32),
        score=lambda question, answer: {"right": states_value(answer.text, question["answers"])},
        summarise=shares("right"),
    )
"""

import importlib
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eval.suites
from eval.records import Record
from eval.summary import Section
from eval.target import Answer
from prompts.library import persona, tool_schemas
from serving.errors import UserError

Question = dict[str, Any]


@dataclass(frozen=True)
class Suite:
    """Questions are JSON objects with "id", "question" and the keys in `needs`; `request` makes the body of a chat
    completion without its model (its second argument leaves system prompt and tools out); `score` names what it finds.
    """

    name: str
    exam: str
    """The default questions, below HOMEGROWN_HOME."""
    made_by: str
    """What to do when they are not there."""
    request: Callable[[Question, bool], dict]
    score: Callable[[Question, Answer], dict[str, Any]]
    summarise: Callable[[Sequence[Record]], list[Section]]
    needs: tuple[str, ...] = ()
    fault: Callable[[Question], str | None] = lambda question: None
    """What is wrong with a question, beyond missing keys."""


def chat_request(max_tokens: int = 96) -> Callable[[Question, bool], dict]:
    """Ask as the assistant is served: greedy, with the persona and the tools; `plain` leaves both out."""

    def request(question: Question, plain: bool) -> dict:
        asked = [{"role": "user", "content": question["question"]}]
        body = {"messages": asked, "temperature": 0, "max_tokens": max_tokens, "logprobs": True}
        if plain:
            return body
        return body | {"messages": [{"role": "system", "content": persona()}, *asked], "tools": tool_schemas()}

    return request


def suite_names() -> list[str]:
    """The suites there are: one module each in `eval/suites/`."""
    return sorted(module.name for module in pkgutil.iter_modules(eval.suites.__path__))


def find_suite(name: str) -> Suite:
    """The suite called `name`. Raises `UserError` naming those there are."""
    if name not in suite_names():
        raise UserError(f"There is no suite {name!r}: name one of {', '.join(suite_names())}.")
    return importlib.import_module(f"eval.suites.{name}").SUITE


def read_questions(suite: Suite, path: Path) -> list[Question]:
    """The questions of a JSONL file. Raises `UserError` naming the file, or the file and line, that cannot be used."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(
            f"There are no questions at {path}: {suite.made_by}, or name a file with --questions."
        ) from None
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"The questions at {path} cannot be read ({error}): name a JSONL file in UTF-8.") from None
    questions: dict[str, Question] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            question = _read_question(suite, line, f"{path}:{number}")
            if question["id"] in questions:
                raise UserError(f"{path}:{number} has the id {question['id']!r} of an earlier line: ids must differ.")
            questions[question["id"]] = question
    if not questions:
        raise UserError(f"The file {path} holds no questions: {suite.made_by}, or name another with --questions.")
    return list(questions.values())


def _read_question(suite: Suite, line: str, place: str) -> Question:
    try:
        question = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place} is not JSON ({error.msg}, column {error.colno}): correct or delete the line."
        ) from None
    if not isinstance(question, dict):
        raise UserError(f"{place} is not a JSON object: a question is one object a line.")
    missing = [key for key in ("id", "question", *suite.needs) if key not in question]
    fault = f"has no {missing[0]!r}" if missing else suite.fault(question)
    if fault:
        raise UserError(f"{place} {fault}: correct the line, or {suite.made_by}.")
    return question
