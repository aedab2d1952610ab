"""What learns beside the chat, when, and what is said of that."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.chat import learning
from assistant.growers import Growers
from serving.home import home
from serving.settings import ServingSettings, read_settings


class Garden:
    """Growers that write down what they were asked for; half of each model is grown."""

    def __init__(self) -> None:
        self.grown: list[str] = []

    def growers(self, unfinished: bool = True) -> Growers:
        return Growers(self.grown.append, lambda recipe: unfinished, self.growing, self.aligning)

    @contextmanager
    def growing(self, recipe: str) -> Iterator[None]:
        self.grown.append(recipe)
        progress = home() / "runs" / recipe / "progress.json"
        progress.parent.mkdir(parents=True)
        progress.write_text(json.dumps({"share": 0.5}))
        yield

    @contextmanager
    def aligning(self) -> Iterator[None]:
        self.grown.append("aligned")
        yield


@pytest.fixture
def garden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Garden:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    return Garden()


def test_beside_the_default_model_images_are_grown(garden: Garden, capsys: pytest.CaptureFixture) -> None:
    with learning(read_settings(), None, garden.growers()):
        assert garden.grown == ["images", "aligned"]
    assert capsys.readouterr().out == "The image model is 50 % grown and goes on learning in the next chat.\n"


@pytest.mark.parametrize(
    ("settings", "model", "unfinished", "terminal"),
    [
        (read_settings(images=False, alignment=False), None, True, True),
        (read_settings(image_model="my-sdxl", alignment=False), None, True, True),
        (read_settings(engine_url="http://127.0.0.1:9"), None, True, True),
        (read_settings(), "Qwen/Qwen3-0.6B", True, True),
        (read_settings(alignment=False), None, False, True),
        (read_settings(), None, True, False),
    ],
)
def test_otherwise_nothing_is_grown_or_said(
    garden: Garden,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    settings: ServingSettings,
    model: str | None,
    unfinished: bool,
    terminal: bool,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    with learning(settings, model, garden.growers(unfinished)):
        pass
    assert garden.grown == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("name", "other"), [("HOMEGROWN_IMAGES", "aligned"), ("HOMEGROWN_ALIGNMENT", "images")])
def test_0_leaves_either_out(garden: Garden, monkeypatch: pytest.MonkeyPatch, name: str, other: str) -> None:
    monkeypatch.setenv(name, "0")
    with learning(read_settings(), None, garden.growers()):
        assert garden.grown == [other]


def test_once_it_is_complete_there_is_nothing_to_say(garden: Garden, capsys: pytest.CaptureFixture) -> None:
    with learning(read_settings(), None, garden.growers()):
        (home() / "runs" / "images" / "progress.json").unlink()
    assert capsys.readouterr().out == ""
