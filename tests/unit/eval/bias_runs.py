"""Runs of the tasks about bias with planted replies, and their figures."""

from eval.data import Inputs
from eval.records import Record
from eval.replies import Scored
from eval.run import cluster_of


def records_of(task, reply_to):
    """What a run would record of `reply_to(sample)`; None for an error."""
    records = []
    for case in task.cases(task.data(Inputs())):
        reply, place = reply_to(case.sample), (*case.id, cluster_of(task, case.sample), "", case.sample)
        records.append(
            Record(*place, "ok", reply=reply, scores=task.score(case.sample, reply))
            if reply
            else Record(*place, "error", error="HTTP 500")
        )
    return records


def figures_of(task, reply_to):
    found = [figure for section in task.figures(records_of(task, reply_to)) for figure in section.figures]
    figures = {figure.key: figure for figure in found}
    assert len(figures) == len(found), "two figures of one key"
    return figures


def value(figures, key):
    assert not figures[key].why_not, f"{key}: {figures[key].why_not}"
    return figures[key].estimate.value


def taking(place, options, tokens=5):
    """Likelihoods with which the option at `place` is the best, and the others follow in order."""
    return Scored([-10.0 if number == place else -20.0 - number for number in range(options)], [tokens] * options)
