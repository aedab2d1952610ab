"""A conversation with the model `assistant` of our API, and with a model that has none, and what the terminal shows."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from openai import OpenAI
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from assistant.chat import _has_assistant
from assistant.dialogue import Dialogue, TooLongError
from assistant.events import Forgot, Text, ToolCall, ToolStep
from assistant.personas import Voice
from assistant.terminal import Terminal
from tests.unit.assistant.scripted_model import ScriptedModel, called, refusal, said
from tests.unit.assistant.test_served_model import Served, serve

__all__ = ["serve"]


def artist(body: dict) -> object:
    """Draws a red boat whatever is asked, after a word of its own; repeats what the tool said; is short of memory."""
    *_, last = body["messages"]
    if len(str(body["messages"])) > 3000:
        return refusal(400, "This model's maximum context length is 1000 tokens.", "context_length_exceeded")
    if last["role"] == "tool":
        return said("It said ", last["content"], ".")
    prompt = "wait" if last["content"] == "Slowly!" else "a red boat"
    return called("generate_image", f'{{"prompt": "{prompt}"}}', text="Look:" if last["content"] == "Look!" else None)


@pytest.fixture
def dialogue(serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dialogue]:
    monkeypatch.chdir(tmp_path)
    with serve(artist).client() as client:
        yield Dialogue(client, "words", None)


def test_the_model_hears_that_it_is_done_and_steps_are_part_of_the_history(dialogue: Dialogue) -> None:
    events = list(dialogue.answer("A boat!"))
    assert events[0] == ToolCall("call_0_generate_image", "generate_image", '{"prompt": "a red boat"}')
    assert [event.step["pictures"][0]["prompt"] for event in events if isinstance(event, ToolStep)] == ["a red boat"]
    assert "".join(event.text for event in events if isinstance(event, Text)) == "It said done."
    assert [message["role"] for message in dialogue.turns[0]] == ["user", "assistant", "tool", "assistant"]
    assert dialogue.turns[0][2]["content"] == "done"
    assert dialogue.turns[0][3]["content"] == "It said done."
    assert "It said done." in "".join(event.text for event in dialogue.answer("More!") if isinstance(event, Text))
    assert len(dialogue.turns) == 2


def test_stopped_while_it_is_drawn_no_call_stays_without_a_result(dialogue: Dialogue) -> None:
    events = dialogue.answer("Slowly!")
    assert any(isinstance(event, ToolCall) for event in events)
    events.close()
    assert dialogue.turns == []
    assert list(dialogue.answer("And now?"))


def test_old_turns_are_dropped_when_the_context_is_full(dialogue: Dialogue) -> None:
    old = [{"role": "user", "content": "x" * 1500}, {"role": "assistant", "content": "y"}]
    dialogue.turns = [old, list(old)]
    events = list(dialogue.answer("hi"))
    forgot = sum(isinstance(event, Forgot) for event in events)
    assert forgot
    assert len(dialogue.turns) == 3 - forgot
    with pytest.raises(TooLongError):
        list(dialogue.answer("x" * 4000))
    assert all(turn[0]["content"] != "x" * 4000 for turn in dialogue.turns)


def test_the_assistant_answers_for_the_model_behind_it(dialogue: Dialogue) -> None:
    assert _has_assistant(dialogue.client, "words")
    assert _has_assistant(dialogue.client, "assistant")
    assert not _has_assistant(dialogue.client, "images")


def test_somebody_elses_model_is_spoken_to_plainly() -> None:
    with ScriptedModel(lambda body: said("Hi.")) as model, OpenAI(base_url=model.base_url, api_key="none") as client:
        dialogue = Dialogue(client, "theirs", Voice.of(None))
        assert list(dialogue.answer("hi")) == [Text("Hi.")]
    assert model.asked[0]["model"] == "theirs"
    assert "tools" not in model.asked[0]
    assert [message["role"] for message in model.asked[0]["messages"]] == ["system", "user"]


def test_the_terminal_shows_path_and_picture_and_what_is_known_of_it(
    dialogue: Dialogue, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name, value in (("COLORTERM", "truecolor"), ("TERM", "xterm"), ("TERM_PROGRAM", "")):
        monkeypatch.setenv(name, value)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("Look!\r/quit\r")
        Terminal(dialogue, tmp_path / "history", of_pictures=lambda: "(still learning: 42 %)").run()
    assert re.search(
        r"Look:.*⚙ generate_image a red boat → images/a-red-boat.png\s.*▀.*\(still learning: 42 %\)\s+It said done\.",
        re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", capsys.readouterr().out),
        re.DOTALL,
    )
    assert (tmp_path / "images" / "a-red-boat.png").is_file()
