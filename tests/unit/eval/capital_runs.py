"""Runs of one task of capitals, for the tests of the runner."""

import asyncio
import json

from eval.data import Inputs
from eval.requests import chat
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.scores.score import score
from eval.scores.values import states_value
from eval.suite import Suite
from eval.target import Target
from eval.task import Task

STATES_VALUE = f"{__name__}.states_value"


@score(formula="1 if right", source="ours", caveat="none")
def right(sample, reply):
    return states_value(reply.text, sample["answers"])


def capitals(questions):
    task = Task(name="capitals", data=lambda inputs: questions, asking=chat(max_tokens=32), scores=(right,))
    return Suite(name="capitals", about="", tasks=(task,))


def questions_of(count):
    return [{"id": f"q{i}", "question": f"Question {i}?", "answers": ["Paris"], "group": "fact"} for i in range(count)]


def table_of(questions, reply="It is Paris."):
    return {question["question"]: reply for question in questions}


def open_run(folder, questions, model="tiny", plain=False):
    planned = plan(capitals(questions), Inputs(), plain)
    return Run(planned, identify(planned, model, None, plain), folder)


def evaluate(run, base_url, concurrency):
    """Ask what is missing; the figures and the records."""

    async def ask():
        async with Target(base_url, run.identity["model"]) as target:
            await run.ask(target, concurrency)

    asyncio.run(ask())
    result = read_result(run.folder)
    return result.figures, result.records


def landed(run):
    return [json.loads(line) for line in run.records_path.read_text().splitlines()]
