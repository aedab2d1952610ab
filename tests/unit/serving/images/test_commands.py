"""`homegrown image draw`: through a real API in front of a scripted worker."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image
from typer.testing import CliRunner

from serving.errors import UserError
from serving.images.commands import app
from serving.images.draw import draw_at
from serving.images.output import named_after, write_files
from serving.images.request import DrawRequest
from tests.unit.eval.threaded_server import ThreadedServer
from tests.unit.serving.picture_api import PictureApi
from tests.unit.serving.picture_worker import encoded

ROOT = Path(__file__).parents[4]
WISH = DrawRequest(prompt="a boat")
Draw = Callable[..., str]


@pytest.fixture
def draw(served: PictureApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Runs the command in an empty folder; returns its standard output. Raises what the command raises."""
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path / "pictures")

    def draw(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["draw", *arguments, "--url", served.url], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return draw


def opened(file: str) -> Image.Image:
    picture = Image.open(file)
    picture.load()
    return picture


def refusal(draw: Draw, *arguments: str) -> str:
    """The sentence that the command refuses with; it leaves no file."""
    before = set(os.listdir())
    with pytest.raises(UserError) as raised:
        draw(*arguments)
    assert set(os.listdir()) == before
    assert raised.value.exit_code != 0
    return str(raised.value)


def test_a_picture_is_drawn_and_its_path_printed(draw: Draw, served: PictureApi) -> None:
    assert draw("a red boat", "-o", "boat.png", "--seed", "9") == "boat.png\n"
    assert os.listdir() == ["boat.png"]
    picture = opened("boat.png")
    assert (picture.format, picture.size, picture.getpixel((0, 0))) == ("PNG", (512, 512), (9, 0, 0))
    assert served.worker.asked[0].prompt == "a red boat"


def test_every_wish_reaches_the_worker(draw: Draw, served: PictureApi) -> None:
    options = "-o b.webp --model images --size 64x32 --seed 3 -n 2 --negative sun --steps 7 --guidance 2.5 --quality 60"
    draw("a boat", *options.split(), "--lora", "a:0.8", "--lora", "b")
    wish = served.worker.asked[0]
    assert (wish.width, wish.height, wish.seed, wish.n, wish.negative_prompt) == (64, 32, 3, 2, "sun")
    assert (wish.steps, wish.guidance, wish.format, wish.compression) == (7, 2.5, "webp", 60)
    assert [(lora.name, lora.scale) for lora in wish.loras] == [("a", 0.8), ("b", 1.0)]


@pytest.mark.parametrize(("suffix", "format"), [("png", "PNG"), ("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP")])
def test_several_pictures_are_numbered_and_of_the_suffix_format(draw: Draw, suffix: str, format: str) -> None:
    said = draw("a boat", "-o", f"boat.{suffix}", "-n", "3", "--seed", "40", "--size", "auto")
    names = [f"boat-{number}.{suffix}" for number in (1, 2, 3)]
    assert said.splitlines() == names
    assert sorted(os.listdir()) == names
    pictures = [opened(name) for name in names]
    assert {picture.format for picture in pictures} == {format}
    # In the order of their seeds, though they arrived in another.
    assert [abs(picture.getpixel((0, 0))[0] - 40 - i) <= 3 for i, picture in enumerate(pictures)] == [True] * 3
    assert pictures[0].size == (48, 48)


def test_without_a_name_the_prompt_names_the_file(draw: Draw) -> None:
    assert draw("A red boat, under: a yellow/sun!") == "a-red-boat-under-a-yellow-sun.png\n"
    assert named_after("船 und Öl").name == "船-und-öl.png"
    assert named_after("../../etc").name == "etc.png"
    assert named_after("?!").name == "picture.png"
    assert len(named_after("word " * 500).name) < 100


def test_files_are_overwritten_only_by_force(draw: Draw) -> None:
    Path("boat.png").write_text("precious")
    assert "--force" in refusal(draw, "a boat", "-o", "boat.png")
    assert Path("boat.png").read_text() == "precious"
    draw("a boat", "-o", "boat.png", "--force")
    assert opened("boat.png").size == (512, 512)
    Path("new-2.png").write_text("precious")
    assert "new-2.png exists" in refusal(draw, "a boat", "-o", "new.png", "-n", "2")


REFUSALS = [
    (["a boat", "-o", "boat.gif"], "not as boat.gif"),
    (["a boat", "-o", "boat"], "not as boat"),
    (["a boat", "-o", "missing/boat.png"], "folder missing does not exist"),
    (["a boat", "--size", "64"], "'64' is no size"),
    (["a boat", "--size", "axb"], "'axb' is no size"),
    (["a boat", "--size", "0x0"], "width"),
    (["a boat", "--size", "99999x99999"], "width"),
    (["   "], "prompt"),
    (["a boat", "-n", "0"], "n: "),
    (["a boat", "-n", "11"], "n: "),
    (["a boat", "--guidance", "nan"], "guidance"),
    (["a boat", "--lora", "../x:1"], "loras"),
    (["a boat", "--quality", "101"], "compression"),
    (["a boat", "--model", "nobody"], "`nobody` does not exist"),
    (["unknown lora"], "There is no LoRA 'x'"),
    (["too many"], "16 pictures are already asked for"),
    (["loading"], "being loaded"),
    (["die"], "worker died"),
    (["broken"], "came out black"),
    (["garbage"], "status 500"),
]


def test_what_cannot_be_drawn_is_one_sentence(draw: Draw) -> None:
    for arguments, reason in REFUSALS:
        message = refusal(draw, *arguments)
        assert reason in message, arguments
        assert "\n" not in message


def test_progress_is_told_while_the_picture_is_drawn(served: PictureApi) -> None:
    steps: list[tuple[str, float, int]] = []
    draw_at(f"{served.url}/v1/", None, WISH, lambda *step: steps.append(step))
    assert steps[-1] == ("drawing", 1.0, 2)


class OtherApi(ThreadedServer):
    """Knows no streams: it answers with `answer` when all is done."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def routes(self) -> list:
        return [("POST", "/v1/images/generations", self.generate)]

    async def generate(self, request: web.Request) -> web.Response:
        return web.json_response(self.answer)


def test_an_api_without_streams() -> None:
    with OtherApi({"data": [{"b64_json": encoded("red", (8, 8))}]}) as api:
        (picture,) = draw_at(api.base_url, None, WISH, lambda *step: None)
    assert Image.open(io.BytesIO(picture)).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    "answer", [{"data": [{"url": "http://elsewhere"}]}, {"data": []}, [], {"data": [{"b64_json": 7}]}]
)
def test_an_api_that_answers_something_else(answer: object) -> None:
    with OtherApi(answer) as api, pytest.raises(UserError, match="pictures"):
        draw_at(api.base_url, None, WISH, lambda *step: None)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "localhost:8000", "http://[", "nowhere"])
def test_nobody_answers(url: str) -> None:
    with pytest.raises(UserError, match="does not answer"):
        draw_at(url, None, WISH, lambda *step: None)


def test_without_a_model_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="homegrown train images"):
        CliRunner().invoke(app, ["draw", "a boat"], catch_exceptions=False)
    assert os.listdir() == []


def test_interrupted_nothing_is_left_and_the_drawing_stops(served: PictureApi, tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "homegrown.py", "image", "draw", "wait", "-o", "boat.png", "--url", served.url]
    folder = tmp_path / "pictures"
    folder.mkdir()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert served.worker.drawing.wait(30)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=30)
    assert (process.returncode, said, complaint) == (130, "", "")
    assert os.listdir(folder) == []
    assert served.worker.cancelled.wait(10)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        write_files([tmp_path / "b.png"], [b"picture"])
    assert os.listdir(tmp_path) == ["b.png"]
