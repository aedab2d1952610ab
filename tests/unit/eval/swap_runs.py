"""Answered runs of tasks about groups of people, by models that are known to treat them alike or not."""

from collections.abc import Callable

from eval.data import Inputs
from eval.figures import Figure, Section
from eval.records import Record
from eval.replies import Reply
from eval.run import cluster_of
from eval.task import Task

Answering = Callable[[dict], Reply]


def records_of(task: Task, answer: Answering) -> list[Record]:
    """The records of a model that answers every sample so."""
    records = []
    for case in task.cases(task.data(Inputs())):
        reply = answer(case.sample)
        place = (*case.id, cluster_of(task, case.sample), "0", case.sample, "ok")
        records.append(Record(*place, reply=reply, scores=task.score(case.sample, reply)))
    return records


def figures_of(task: Task, answer: Answering) -> dict[str, Figure]:
    return by_key(task.figures(records_of(task, answer)))


def by_key(sections: list[Section]) -> dict[str, Figure]:
    return {figure.key: figure for section in sections for figure in section.figures}
