"""The answers that another run recorded, given to a judge: the model that this run asks."""

import json
from pathlib import Path

from pydantic import BaseModel

from eval.data import Inputs, Missing, rows
from eval.figures import means
from eval.records import Record, read_records
from eval.replies import Answer
from eval.requests import Generate
from eval.scores.judged import Verdict, judged_correct
from eval.scores.score import Sample
from eval.task import Task
from prompts.library import probe


def answers(inputs: Inputs) -> list[Sample]:
    """Every recorded answer to a question. Raises `Missing` when no records are named."""
    if inputs.questions is None:
        raise Missing("a judge reads the records of a run: name them with --questions FOLDER/records.jsonl")
    if not holds_records(inputs.questions):
        raise Missing(f"{inputs.questions} holds no records of a run")
    landed = {record.key: record for record in read_records(inputs.questions)}
    return [_sample(r) for r in landed.values() if isinstance(r.reply, Answer) and "question" in r.sample]


def holds_records(path: Path) -> bool:
    """Whether the file is one that a run wrote, and not one of pairs."""
    return {"task", "request"} <= next(rows(path), {}).keys()


def _sample(record: Record) -> Sample:
    """`right` may be empty: then the judge goes by what it knows."""
    given = {"question": record.sample["question"], "right": record.sample.get("answers", [])}
    name = "/".join(map(str, record.key))
    return {"id": name, "task": record.task, "cluster": record.cluster, **given, "answer": record.reply.text}


def asking(sample: Sample, plain: bool) -> Generate:
    """The judge has instructions of its own, so neither persona nor tools; its reply is bound to a JSON schema."""
    shown = json.dumps({name: sample[name] for name in ("question", "right", "answer")}, ensure_ascii=False)
    messages = [{"role": "system", "content": probe("judge")}, {"role": "user", "content": shown}]
    return Generate(bound_to(Verdict, messages))


def bound_to(form: type[BaseModel], messages: list[dict]) -> dict:
    """The body of a request whose reply must be JSON of that form."""
    schema = {"name": "verdict", "strict": True, "schema": form.model_json_schema()}
    shape = {"type": "json_schema", "json_schema": schema}
    return {"messages": messages, "temperature": 0, "max_tokens": 256, "response_format": shape}


JUDGED = Task(
    name="judged",
    data=answers,
    asking=asking,
    scores=(judged_correct,),
    cluster="cluster",
    figures=means((judged_correct,), by="task"),
    about="what a judge, the model that is asked, says of the answers that another run recorded",
)
