"""The tool that draws, against our API in front of a scripted worker, and against servers that are no such API."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from openai import OpenAI
from PIL import Image

from assistant.tools.toolbox import Outcome, run_tool
from serving.engine import EngineState
from tests.unit.eval.threaded_server import ThreadedServer
from tests.unit.serving.picture_api import PictureApi

LEARNT = Path(__file__).parents[3] / "training" / "corpus" / "almanac" / "wordings" / "requests.yaml"


def draw(url: str, prompt: str, **options: object) -> Outcome:
    with OpenAI(base_url=f"{url}/v1", api_key="none", **options) as client:
        return run_tool("generate_image", json.dumps({"prompt": prompt}), client)


def test_a_picture_becomes_a_file_named_after_its_prompt(served: PictureApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.home)
    first = draw(served.url, "A red boat, please!")
    assert first == Outcome("done", "images/a-red-boat-please.png", served.home / "images" / "a-red-boat-please.png")
    assert Image.open(first.picture).size == (512, 512)
    assert draw(served.url, "a red boat: please").shown == "images/a-red-boat-please-2.png"
    monkeypatch.chdir(Path(__file__).parent)
    assert draw(served.url, "../../etc/x").shown == str(served.home / "images" / "etc-x.png")
    assert [wish.prompt for wish in served.worker.asked] == ["A red boat, please!", "a red boat: please", "../../etc/x"]


def refused(outcome: Outcome, reason: str) -> str:
    """Check that the model is told `reason`, which it has learnt to read; returns what the person is told."""
    assert reason in yaml.safe_load(LEARNT.read_text())["failures"]
    assert (outcome.said, outcome.picture) == (f"error: {reason}", None)
    assert re.fullmatch(r"error: [a-z0-9][^\n]*[^.]", outcome.shown)
    return outcome.shown


@pytest.mark.parametrize(
    ("prompt", "reason", "shown"),
    [
        ("too many", "the queue is full", "16 pictures are already asked for"),
        ("loading", "this is not possible right now", "being loaded"),
        ("broken", "the service is not available", "came out black"),
        ("die", "this is not possible right now", "died while it was drawing"),
        ("garbage", "the service is not available", "status 500"),
    ],
)
def test_what_the_worker_refuses_is_one_clause(served: PictureApi, prompt: str, reason: str, shown: str) -> None:
    assert shown in refused(draw(served.url, prompt), reason)
    assert len(served.worker.asked) == 1
    assert not (served.home / "images").exists()


def test_a_refused_prompt(start: Callable[..., PictureApi], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "house_rules.py").write_text("def check(prompt): return 'no guns here' if 'gun' in prompt else None")
    monkeypatch.syspath_prepend(tmp_path)
    served = start(image_check="house_rules:check")
    shown = refused(draw(served.url, "a gun"), "this is not possible right now")
    assert shown == "error: the prompt was refused: no guns here"
    assert draw(served.url, "a sun").said == "done"


def test_a_model_that_still_learns_says_how_far_it_is(served: PictureApi) -> None:
    served.images.state = EngineState("starting", "the image model is still learning (42 %)")
    shown = refused(draw(served.url, "a cat"), "this is not possible right now")
    assert shown == "error: the image model is still learning (42 %)"


def test_without_an_image_engine_the_way_out_is_named(start: Callable[..., PictureApi]) -> None:
    shown = refused(draw(start(draws=False).url, "a cat"), "no picture engine is running")
    assert "start it without HOMEGROWN_IMAGES=0" in shown


def test_nobody_there_and_nobody_in_time(served: PictureApi) -> None:
    assert "does not answer" in refused(draw("http://127.0.0.1:9", "a cat"), "there is no connection")
    assert "takes too long" in refused(draw(served.url, "wait", timeout=0.3), "the tool took too long")


def test_no_room_for_the_picture(served: PictureApi) -> None:
    (served.home / "images").write_text("in the way")
    assert "cannot be kept" in refused(draw(served.url, "a cat"), "this is not possible right now")


class Strange(ThreadedServer):
    """Somebody's server: it answers with the prompt as JSON, or has no such page."""

    def routes(self) -> list:
        return [("POST", "/v1/images/generations", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        prompt = (await request.json())["prompt"]
        return (
            web.Response(text="<html>no such page</html>", status=404)
            if prompt == "page"
            else web.json_response(json.loads(prompt))
        )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("page", "no picture engine is running"),
        ("{}", "the service is not available"),
        ('{"data": []}', "the service is not available"),
        ('{"data": [{"url": "http://127.0.0.1:9/cat.png"}]}', "the service is not available"),
        ('{"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}', "the file could not be read"),
    ],
)
def test_somebody_elses_server(answer: str, reason: str) -> None:
    with Strange() as server:
        refused(draw(server.base_url.removesuffix("/v1"), answer), reason)
