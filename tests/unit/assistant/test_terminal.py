"""What the terminal shows before the first question."""

from openai import OpenAI
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from assistant.dialogue import Dialogue
from assistant.terminal import Terminal
from serving.registry import DEFAULT_MODEL


def opened(tmp_path, capsys, report, model="tiny"):
    client = OpenAI(base_url="http://127.0.0.1:9/v1", api_key="none")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_bytes(b"\x04")
        Terminal(Dialogue(client, model, None), tmp_path / "history", report).run()
    return capsys.readouterr().out


def test_the_newest_report_of_the_model_is_linked(tmp_path, capsys):
    report = tmp_path / "my reports" / "report.html"
    assert report.as_uri() in opened(tmp_path, capsys, report)


def test_without_a_report_the_command_that_makes_one_is_named(tmp_path, capsys):
    own = opened(tmp_path, capsys, None, DEFAULT_MODEL)
    assert "file://" not in own
    assert "homegrown eval report does that" in own
    assert "homegrown eval run tiny does that" in opened(tmp_path, capsys, None)
