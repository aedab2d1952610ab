"""A run of the project's own texts and pairs, for those who test that a broken model measures nothing."""

from eval.data import Inputs
from eval.likelihood.split import NOT_FINITE
from eval.result import read_result
from eval.run import Run, identify, plan
from eval.suite import Suite
from eval.tasks.language import PAIRS, PROSE


def planned_run(out):
    planned = plan(Suite("language", "", (PROSE, PAIRS)), Inputs())
    return Run(planned, identify(planned, "broken", None, False), out)


def assert_nothing_is_measured(run):
    result = read_result(run.folder)
    assert len(result.records) == 100
    assert {(record.status, record.error) for record in result.records} == {("error", NOT_FINITE)}
    assert result.figures
    assert all(figure.estimate is None and figure.why_not for figure in result.figures.values())
