"""Small runs of the almanac's exam, for those who test what is decided about runs."""

from typer.testing import CliRunner

from eval.commands import app
from serving.errors import UserError

FACTS = 60


def fact(number):
    fields = {"id": f"f{number}", "question": f"Capital of Land{number}?", "group": "fact", "answers": ["Paris"]}
    return fields | {"entity": f"Land{number}", "subject": "country", "relation": "capital"}


def unknown(number):
    return {"id": f"m{number}", "question": f"Capital of Nowhere{number}?", "group": "made_up", "entity": f"N{number}"}


EXAM = [fact(i) for i in range(FACTS)] + [unknown(i) for i in range(FACTS)]


def replies(right, refused=FACTS):
    """Answers of a model that knows the first `right` facts, and says so of the first `refused` made-up names."""
    facts = {f"Capital of Land{i}?": "The capital is Paris." if i < right else "It is Rome." for i in range(FACTS)}
    made_up = {f"Capital of Nowhere{i}?": "I don't know." if i < refused else "It is Rome." for i in range(FACTS)}
    return facts | made_up


def invoke(*arguments):
    """`homegrown eval ARGUMENTS`; a `UserError` is raised, any other outcome returned."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result
