"""`eval run --system`: the same questions under another system prompt, so that prompts can be compared."""

import json

import pytest
from typer.testing import CliRunner

from eval.commands import app
from prompts.library import persona
from serving.errors import UserError

QUESTIONS = [{"id": "1", "question": "hi", "group": "no_tool", "tool": None}]


@pytest.fixture
def run(serve_table, write_questions, tmp_path):
    """Ask one question with the given options; returns the identity of the run and the system prompts sent."""

    def ask(name, *options):
        server = serve_table({"hi": "Hello!"})
        arguments = ["run", "--base-url", server.base_url, "--suite", "almanac", "--out", str(tmp_path / name)]
        asked = CliRunner().invoke(app, [*arguments, "--questions", str(write_questions(QUESTIONS)), *options])
        if asked.exception and not isinstance(asked.exception, SystemExit):
            raise asked.exception
        said = [m["content"] for body in server.log for m in body["messages"] if m["role"] == "system"]
        return json.loads((tmp_path / name / "run.json").read_text()), said

    return ask


def test_a_persona_or_a_file_takes_the_place_of_the_prompt_as_served(run, tmp_path):
    (tmp_path / "mine.txt").write_text("You are a pirate.\n")
    assert run("served")[1] == [persona()]
    assert run("named", "--system", "plain")[1] == [persona("plain")]
    assert run("written", "--system", str(tmp_path / "mine.txt"))[1] == ["You are a pirate."]


def test_the_questions_are_the_same_and_the_requests_are_not(run):
    served, other = run("served")[0]["tasks"]["almanac"], run("other", "--system", "plain")[0]["tasks"]["almanac"]
    assert served["samples_sha256"] == other["samples_sha256"]
    assert served["requests_sha256"] != other["requests_sha256"]


def test_a_run_is_not_resumed_under_another_prompt(run):
    run("once")
    with pytest.raises(UserError, match="another system prompt"):
        run("once", "--system", "plain")


@pytest.mark.parametrize(
    ("options", "said"),
    [(("--system", "nobody"), "'nobody' cannot be read"), (("--system", "plain", "--plain"), "choose one")],
)
def test_what_cannot_be_is_one_sentence(run, options, said):
    with pytest.raises(UserError, match=said):
        run("never", *options)
