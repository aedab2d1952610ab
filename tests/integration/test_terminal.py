"""The terminal chat against a real server: piped, and in a real pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from assistant.dialogue import Dialogue, TooLongError
from assistant.events import Forgot, Text, ToolStep
from assistant.personas import Voice
from prompts.library import persona
from serving.api.errors import ApiError
from tests.conftest import Api

ROOT = Path(__file__).parents[2]
CHAT = [sys.executable, "homegrown.py", "chat"]


def ask(question: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CHAT, *flags], cwd=ROOT, input=question, capture_output=True, text=True, timeout=120)


class Screen:
    """A chat in a pseudo-terminal: `type` what a person types, `wait` for what a person reads."""

    def __init__(self, url: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.environ |= {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "100"}
            os.execv(CHAT[0], [*CHAT, "--url", url])
        self.seen = ""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self.terminal, keys.encode())

    def wait(self, pattern: str) -> str:
        """What was shown since the last `type`, without colours, once it has `pattern` in it."""
        deadline = time.monotonic() + 60
        while not re.search(pattern, self.text()):
            assert time.monotonic() < deadline, f"{pattern!r} never came: {self.text()!r}"
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.seen += os.read(self.terminal, 65536).decode("utf-8", "replace")
        return self.text()

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.seen)

    def exit_code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def screen(api: Api) -> Iterator[Screen]:
    screen = Screen(api.url)
    screen.wait("›")
    yield screen
    os.close(screen.terminal)


@pytest.fixture
def dialogue(api: Api) -> Iterator[Dialogue]:
    with api.client() as client:
        yield Dialogue(client, "taught", None)


def test_a_question_on_standard_input_is_answered_once(api: Api) -> None:
    answered = ask("hi\n", "--url", api.url)
    assert (answered.stdout, answered.returncode) == ("Hello! How can I help?\n", 0)
    assert answered.stderr == ""


def test_tools_run_here_and_their_steps_go_to_stderr(api: Api) -> None:
    answered = ask("What is 12 * 7?", "--url", api.url)
    assert answered.stdout == "12 * 7 is 84.\n"
    assert "calculate" in answered.stderr
    assert "84" in answered.stderr


def test_what_cannot_be_answered_is_one_sentence(api: Api) -> None:
    for question, flags, code, says in (
        ("", ("--url", api.url), 2, "No question came"),
        ("x" * 2000, ("--url", api.url), 2, "longer than the model's context"),
        ("hi", ("--url", "http://127.0.0.1:9"), 4, "No engine answers"),
        ("hi", ("other", "--url", api.url), 4, "serves taught, assistant, not other"),
    ):
        answered = ask(question, *flags)
        assert (answered.returncode, answered.stdout) == (code, "")
        assert says in answered.stderr
        assert answered.stderr.startswith("homegrown: ")
        assert answered.stderr.count("\n") == 1


def test_a_homegrown_that_serves_the_model_already_is_used(api: Api) -> None:
    answered = ask("hi", "taught", "--port", api.url.rpartition(":")[2])
    assert (answered.stdout, answered.returncode) == ("Hello! How can I help?\n", 0)


def test_a_port_that_somebody_else_uses_is_named(taught_model: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        answered = ask("hi", "taught", "--port", str(other.server_port))
        other.shutdown()
    assert answered.returncode == 5
    assert f"127.0.0.1:{other.server_port} cannot be used" in answered.stderr
    assert answered.stderr.count("\n") == 1


def test_a_chat_on_the_screen(screen: Screen) -> None:
    screen.type("hi\r")
    screen.wait(r"Hello! How can I help\?\s+›")
    screen.type("/new\r")
    screen.wait(r"A new conversation\.\s+›")
    screen.type("What is 12 * 7?\r")
    shown = screen.wait(r"12 \* 7 is 84\.\s+›")
    assert re.search(r"calculate 12 \* 7 → 84\s+12 \* 7 is 84\.", shown)
    screen.type("/help\r")
    screen.wait(r"/quit .*\s+Ctrl-C[^›]*›")
    screen.type("/dance\r")
    screen.wait(r"no command /dance[^›]*›")
    screen.type("\x04")
    assert screen.exit_code() == 0


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(screen: Screen) -> None:
    screen.type("Sing.\r")
    screen.wait("la la la")
    os.kill(screen.pid, signal.SIGINT)
    screen.wait(r"\[stopped\]\s+›")
    screen.type("/new\r")
    screen.wait(r"A new conversation\.\s+›")
    screen.type("hi\r")
    screen.wait(r"Hello! How can I help\?\s+›")
    screen.type("/quit\r")
    assert screen.exit_code() == 0


def test_tool_results_are_part_of_the_history(dialogue: Dialogue) -> None:
    events = list(dialogue.answer("What is 12 * 7?"))
    (step,) = [event.step for event in events if isinstance(event, ToolStep)]
    assert (step["name"], step["arguments"], step["result"]) == ("calculate", '{"expression": "12 * 7"}', "84")
    assert "".join(event.text for event in events if isinstance(event, Text)) == "12 * 7 is 84."
    assert [message["role"] for message in dialogue.turns[0]] == ["user", "assistant", "tool", "assistant"]


def test_an_answer_left_early_is_kept_as_far_as_it_was_heard(dialogue: Dialogue) -> None:
    answer = dialogue.answer("hi")
    heard = next(answer).text
    answer.close()
    assert dialogue.turns == [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": heard}]]


def test_old_turns_are_dropped_when_the_context_is_full(dialogue: Dialogue) -> None:
    old = [{"role": "user", "content": "x" * 400}, {"role": "assistant", "content": "y" * 10}]
    dialogue.turns = [old, list(old)]
    events = list(dialogue.answer("hi"))
    assert isinstance(events[0], Forgot)
    assert len(dialogue.turns) == 1 + 2 - sum(isinstance(event, Forgot) for event in events)
    with pytest.raises(TooLongError):
        list(dialogue.answer("x" * 2000))
    assert all(turn[0]["content"] != "x" * 2000 for turn in dialogue.turns)


def test_models_of_others_choose_their_persona_and_get_tools_if_their_template_knows_them(
    tiny_model: Path, taught_model: Path, tmp_path: Path
) -> None:
    ours, theirs = Voice.of(taught_model), Voice.of(tiny_model)
    assert ours.system("tutor", "Be rude.") == persona()
    assert (len(ours.tools), ours.temperature) == (4, 0.0)
    assert theirs.system(None, None) == persona("plain")
    assert theirs.system("tutor", "Be brief.") == persona("tutor") + "\n\nBe brief."
    assert (len(theirs.tools), theirs.temperature) == (4, None)
    with pytest.raises(ApiError, match="no persona 'almanac'"):
        theirs.system("almanac", None)
    assert len(Voice.of(None).tools) == 4
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert Voice.of(tmp_path).tools == ()
