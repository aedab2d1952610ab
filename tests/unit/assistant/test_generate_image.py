"""The tool that draws, in front of a scripted worker: pictures in the store, and what is said when there are none."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from PIL import Image
from starlette.datastructures import State

from assistant.tools.desk import Desk, Outcome
from assistant.tools.toolbox import run_tool
from serving.engine import EngineState
from serving.images.client import ImageClient
from serving.images.store import ImageStore
from tests.unit.serving.picture_api import engine
from tests.unit.serving.picture_worker import PictureWorker

LEARNT = Path(__file__).parents[3] / "training" / "corpus" / "almanac" / "wordings" / "requests.yaml"


class Studio:
    """What the API's state has for the tool, and the worker behind it."""

    def __init__(self, worker: PictureWorker, folder: Path) -> None:
        self.worker, self.folder = worker, folder
        self.images = engine(worker.base_url, "images")
        self.state = State({"prompt_check": lambda prompt: "no guns here" if "gun" in prompt else None})
        self.state.image_store = ImageStore(folder, 60)
        self.state.image_client = ImageClient(self.images)
        self.heard: list[str] = []

    def draw(self, prompt: str) -> Outcome:
        return asyncio.run(self.draw_telling(prompt, self.heard.append))

    async def draw_telling(self, prompt: str, tell: Callable[[str], None]) -> Outcome:
        async with self.state.image_client:
            return await run_tool("generate_image", {"prompt": prompt}, Desk(self.state, None, "me", False, tell))

    def leave_while_it_draws(self) -> None:
        async def leave() -> None:
            drawing = asyncio.create_task(self.draw_telling("wait", self.heard.append))
            await asyncio.to_thread(self.worker.drawing.wait, 60)
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing

        asyncio.run(leave())


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with PictureWorker() as worker:
        yield Studio(worker, tmp_path / "images")


def test_a_picture_becomes_a_file_of_the_store(studio: Studio) -> None:
    drawn = studio.draw("A red boat, please!")
    assert (drawn.said, drawn.failed) == ("done", False)
    (picture,) = drawn.pictures
    assert (picture["prompt"], picture["seed"]) == ("A red boat, please!", 0)
    assert Image.open(studio.state.image_store.path(picture["file"])).size == (512, 512)
    assert [wish.prompt for wish in studio.worker.asked] == ["A red boat, please!"]
    assert studio.heard == ["2 ahead in the queue", "step 1 of 2"]


def test_who_does_not_want_it_any_more_stops_the_worker(studio: Studio) -> None:
    studio.leave_while_it_draws()
    assert studio.worker.cancelled.wait(60)


def refused(outcome: Outcome, reason: str) -> str:
    """Check that the model is told `reason`, which it has learnt to read; returns what the person is told."""
    assert reason in yaml.safe_load(LEARNT.read_text())["failures"]
    assert (outcome.said, outcome.pictures, outcome.failed) == (f"error: {reason}", [], True)
    assert re.fullmatch(r"error: [a-z0-9][^\n]*[^.]", outcome.result)
    return outcome.result


@pytest.mark.parametrize(
    ("prompt", "reason", "shown"),
    [
        ("too many", "the queue is full", "16 pictures are already asked for"),
        ("loading", "this is not possible right now", "being loaded"),
        ("broken", "the service is not available", "came out black"),
        ("die", "this is not possible right now", "died while it was drawing"),
        ("garbage", "the service is not available", "status 500"),
        ("a gun", "this is not possible right now", "the prompt was refused: no guns here"),
        ("x" * 40_000, "the request was too long", "too long"),
    ],
)
def test_what_cannot_be_drawn_is_one_clause(studio: Studio, prompt: str, reason: str, shown: str) -> None:
    assert shown in refused(studio.draw(prompt), reason)
    assert not list(studio.folder.glob("*"))


def test_a_model_that_still_learns_says_how_far_it_is(studio: Studio) -> None:
    studio.images.state = EngineState("learning", "the image model is still learning (42 %)")
    shown = refused(studio.draw("a cat"), "this is not possible right now")
    assert shown == "error: the image model is still learning (42 %)"


@pytest.mark.parametrize("doing", ["starting", "restarting"])
def test_an_engine_that_is_being_started_is_waited_for(studio: Studio, doing: str) -> None:
    studio.images.state = EngineState(doing, "the image model is being loaded")

    def becomes_ready(reason: str) -> None:
        studio.heard.append(reason)
        studio.images.state = EngineState("ready", "the engine is ready")

    drawn = asyncio.run(studio.draw_telling("a cat", becomes_ready))
    assert (drawn.said, drawn.failed) == ("done", False)
    assert studio.heard[0] == "the image model is being loaded"


def test_but_not_for_ever(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.tools.generate_image.PATIENCE_S", 0.3)
    studio.images.state = EngineState("starting", "the image model is being loaded")
    shown = refused(studio.draw("a cat"), "this is not possible right now")
    assert shown == "error: the image model is being loaded"
    assert studio.heard == ["the image model is being loaded"]


def test_without_an_image_engine_the_way_out_is_named(studio: Studio) -> None:
    studio.state.image_client = ImageClient(None)
    shown = refused(studio.draw("a cat"), "no picture engine is running")
    assert "start it without HOMEGROWN_IMAGES=0" in shown


def test_no_room_for_the_picture(studio: Studio) -> None:
    studio.folder.write_text("in the way")
    assert "cannot be kept" in refused(studio.draw("a cat"), "this is not possible right now")
