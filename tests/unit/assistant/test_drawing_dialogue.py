"""A conversation with a scripted model that has everything drawn, and what the terminal shows of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from openai import OpenAI
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from assistant.dialogue import Dialogue, Text, ToolCall, ToolStep, Voice
from assistant.terminal import Terminal
from tests.unit.eval.threaded_server import ThreadedServer
from tests.unit.serving.picture_worker import encoded

DRAW = {"name": "generate_image", "arguments": '{"prompt": "a red boat"}'}


class Artist(ThreadedServer):
    """Calls for a red boat whatever is asked, after a word of its own, and repeats what the tool said."""

    def routes(self) -> list:
        return [("POST", "/v1/chat/completions", self.chat), ("POST", "/v1/images/generations", self.draw)]

    async def chat(self, request: web.Request) -> web.Response:
        *_, last = (await request.json())["messages"]
        if last["role"] == "tool":
            delta = {"content": f"It said {last['content']}."}
        else:
            call = {"index": 0, "id": "call_1", "type": "function", "function": DRAW}
            delta = {"content": "Look:" if last["content"] == "Look!" else None, "tool_calls": [call]}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "artist"}
        chunk |= {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        return web.Response(text=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")

    async def draw(self, request: web.Request) -> web.Response:
        return web.json_response({"created": 1, "data": [{"b64_json": encoded("red", (16, 16))}]})


@pytest.fixture
def dialogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dialogue]:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Artist() as artist, OpenAI(base_url=artist.base_url, api_key="none") as client:
        yield Dialogue(client, "artist", Voice.of(None))


def test_the_model_hears_that_it_is_done_and_the_person_where_it_is(dialogue: Dialogue, tmp_path: Path) -> None:
    picture = tmp_path / "images" / "a-red-boat.png"
    assert list(dialogue.answer("A boat!")) == [
        ToolCall("generate_image", DRAW["arguments"]),
        ToolStep("generate_image", DRAW["arguments"], "images/a-red-boat.png", picture),
        Text("It said done."),
    ]
    assert picture.is_file()
    assert dialogue.turns[0][2] == {"role": "tool", "tool_call_id": "call_1", "content": "done"}


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("A boat!", []),
        ("Look!", [[{"role": "user", "content": "Look!"}, {"role": "assistant", "content": "Look:"}]]),
    ],
)
def test_stopped_while_it_is_drawn_no_call_stays_without_a_result(
    dialogue: Dialogue, question: str, kept: list[list[dict]]
) -> None:
    events = dialogue.answer(question)
    assert any(isinstance(event, ToolCall) for event in events)
    events.close()
    assert dialogue.turns == kept
    assert Text("It said done.") in list(dialogue.answer("And now?"))


def test_the_terminal_shows_path_and_picture_and_what_is_known_of_it(
    dialogue: Dialogue, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name, value in (("COLORTERM", "truecolor"), ("TERM", "xterm"), ("TERM_PROGRAM", "")):
        monkeypatch.setenv(name, value)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("Look!\r/quit\r")
        Terminal(dialogue, tmp_path / "history", of_pictures=lambda: "(still learning: 42 %)").run()
    shown = capsys.readouterr().out
    assert re.search(
        r"Look:.*⚙ generate_image a red boat → images/a-red-boat.png\s.*▀.*\(still learning: 42 %\)\s+It said done\.",
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown),
        re.DOTALL,
    )
    assert "48;2;255;0;0m" in shown
