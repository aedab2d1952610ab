"""`homegrown chat` as a newcomer meets it: at a terminal it opens the page, in a pipe it answers."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assistant.front_door import has_desktop
from serving.engine import free_port
from tests.obedient_model import ObedientModel

ROOT = Path(__file__).parents[3]
CHAT = [sys.executable, "homegrown.py", "chat"]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A machine without a screen whose engine runs elsewhere."""
    with ObedientModel() as model:
        hidden = {"DISPLAY", "WAYLAND_DISPLAY"}
        here = {name: value for name, value in os.environ.items() if name not in hidden}
        yield here | {"HOMEGROWN_HOME": str(tmp_path), "HOMEGROWN_ENGINE_URL": model.base_url, "TERM": "dumb"}


def test_at_a_terminal_it_says_where_the_page_is_and_serves_it(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    command = [*CHAT, "--port", str(free_port())]
    chat = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        page = httpx.get(address(ours))
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        chat.send_signal(signal.SIGINT)
        assert chat.wait(60) == 0
    finally:
        chat.kill()
        chat.wait()
        os.close(ours)


def address(terminal: int) -> str:
    """The URL that is printed."""
    seen, deadline = "", time.monotonic() + 120
    while not (found := re.search(r"The chat page is at (http://\S+)", seen)):
        assert time.monotonic() < deadline, seen
        seen += os.read(terminal, 4096).decode()
    return found[1]


def test_in_a_pipe_it_answers_the_question(environment: dict[str, str]) -> None:
    command = [*CHAT, "--port", str(free_port())]
    piped = subprocess.run(
        command, cwd=ROOT, env=environment, input="Hello\n", capture_output=True, text=True, timeout=120
    )
    assert (piped.returncode, piped.stdout) == (0, "You said: *Hello*.\n\nIs there **anything else**?\n"), piped.stderr


@pytest.mark.parametrize(
    ("variables", "desktop"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "10.0.0.2 50000 10.0.0.1 22"}, False),
    ],
)
def test_a_browser_is_opened_only_where_somebody_sits(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], desktop: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_desktop() == desktop
