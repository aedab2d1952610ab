"""When the chat has the image model grown beside it, and what it says of that."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.chat import growing_images
from assistant.growers import Growers
from serving.home import home
from serving.settings import ServingSettings, read_settings


class Garden:
    """Growers that write down what they were asked for; half of each model is grown."""

    def __init__(self) -> None:
        self.grown: list[str] = []

    def growers(self, unfinished: bool = True) -> Growers:
        return Growers(self.grown.append, lambda recipe: unfinished, self.growing)

    @contextmanager
    def growing(self, recipe: str) -> Iterator[None]:
        self.grown.append(recipe)
        progress = home() / "runs" / recipe / "progress.json"
        progress.parent.mkdir(parents=True)
        progress.write_text(json.dumps({"share": 0.5}))
        yield


@pytest.fixture
def garden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Garden:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    return Garden()


def test_beside_the_default_model_images_are_grown(garden: Garden, capsys: pytest.CaptureFixture) -> None:
    with growing_images(read_settings(), None, garden.growers()):
        assert garden.grown == ["images"]
    assert capsys.readouterr().out == "The image model is 50 % grown and goes on learning in the next chat.\n"


@pytest.mark.parametrize(
    ("settings", "model", "unfinished", "terminal"),
    [
        (read_settings(images=False), None, True, True),
        (read_settings(image_model="my-sdxl"), None, True, True),
        (read_settings(engine_url="http://127.0.0.1:9"), None, True, True),
        (read_settings(), "Qwen/Qwen3-0.6B", True, True),
        (read_settings(), None, False, True),
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
    with growing_images(settings, model, garden.growers(unfinished)):
        pass
    assert garden.grown == []
    assert capsys.readouterr().out == ""


def test_images_0_is_heard(garden: Garden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_IMAGES", "0")
    with growing_images(read_settings(), None, garden.growers()):
        assert garden.grown == []


def test_once_it_is_complete_there_is_nothing_to_say(garden: Garden, capsys: pytest.CaptureFixture) -> None:
    with growing_images(read_settings(), None, garden.growers()):
        (home() / "runs" / "images" / "progress.json").unlink()
    assert capsys.readouterr().out == ""
