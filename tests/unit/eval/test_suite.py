"""Suites by name, and those that users write in Python."""

import pytest

from eval.data import Inputs
from eval.result import read_result
from eval.run import Run, identify, plan, read_identity
from eval.suite import find_suite, joined, suite_names
from serving.errors import UserError

IN_PYTHON = """
from eval.data import file
from eval.requests import chat
from eval.scores.facts import right
from eval.suite import Suite
from eval.task import Task

TASK = Task(name="capitals", data=file("capitals.jsonl"), asking=chat(max_tokens=32), scores=(right,))
"""


@pytest.fixture
def ours(tmp_path):
    return tmp_path / "ours.py"


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_names_headlines_of_its_own_tasks(name):
    suite = find_suite(name)
    tasks = tuple(f"{task.name}." for task in suite.tasks)
    assert suite.headlines
    assert all(key.startswith(tasks) for key in suite.headlines)


def test_a_task_in_a_file_is_a_suite(ours):
    ours.write_text(IN_PYTHON)
    suite = find_suite(str(ours))
    assert suite.name == str(ours)
    assert [task.name for task in suite.tasks] == ["capitals"]


def test_a_suite_in_a_file_keeps_its_headlines(ours):
    ours.write_text(IN_PYTHON + 'SUITE = Suite("ours", "Where?", (TASK,), headlines=("capitals.right",))\n')
    suite = joined([str(ours)])
    assert (suite.name, suite.about, suite.headlines) == (str(ours), "Where?", ("capitals.right",))


@pytest.mark.parametrize(
    ("source", "said"),
    [("x = 1", "bind SUITE"), ("SUITE = 1", "bind SUITE"), ("1 +", "SyntaxError"), ("import nosuch", "nosuch")],
)
def test_a_file_that_holds_no_suite_is_one_sentence(ours, source, said):
    ours.write_text(source)
    with pytest.raises(UserError, match=said) as error:
        find_suite(str(ours))
    assert "\n" not in str(error.value)


def test_an_unknown_suite_is_told_the_known_ones():
    with pytest.raises(UserError, match="hallucination, images, judge, language"):
        find_suite("halucination")


def test_a_task_with_a_dot_in_its_name_is_refused(ours):
    ours.write_text(IN_PYTHON.replace('"capitals"', '"cap.itals"'))
    with pytest.raises(UserError, match=r"the task 'cap\.itals' has a dot in its name"):
        find_suite(str(ours))


def test_a_run_of_suites_with_a_plus_in_their_path_can_be_read(ours, tmp_path):
    folder = tmp_path / "c++"
    folder.mkdir()
    paths = [folder / "one.py", folder / "two.py"]
    data = tmp_path / "capitals.jsonl"
    data.write_text('{"id": "fr", "question": "Capital of France?", "answers": "Paris"}\n')
    for path in paths:
        path.write_text(IN_PYTHON.replace('"capitals"', f'"{path.stem}"').replace('"capitals.jsonl"', repr(str(data))))
    for names in ([str(paths[0])], [str(path) for path in paths]):
        planned = plan(joined(names), Inputs())
        assert planned.cases[0].sample["answers"] == ["Paris"]
        run = Run(planned, identify(planned, "tiny", None, False), tmp_path / str(len(names)))
        assert [task.name for task in read_result(run.folder).suite.tasks] == ["one", "two"][: len(names)]
        assert read_identity(run.folder)["suite"] == "+".join(names)
