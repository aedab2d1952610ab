"""`homegrown image` with a worker of its own and a tiny model, as it is typed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.processes import descendants, still_running
from tests.tiny_pipelines import write_tiny_pipeline

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    write_tiny_pipeline(folder / "pixels", "PixelPipeline")
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "homegrown.py"), "image", *arguments]


def test_drawn_pictures_are_known_again(folder: Path) -> None:
    drawing = command(
        "draw", "a red boat", "-o", "boat.webp", "-n", "2", "--seed", "5", "--model", "pixels", "--size", "300x256"
    )
    drawn = subprocess.run(drawing, cwd=folder, capture_output=True, text=True, timeout=400, check=True)
    assert drawn.stdout == "boat-1.webp\nboat-2.webp\n"
    assert Image.open(folder / "boat-1.webp").size == (300, 256)
    Image.open(folder / "boat-2.webp").save(folder / "copy.jpg", quality=75)
    asked = command("verify", "--json", "boat-1.webp", "copy.jpg")
    verified = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=200, check=True)
    boat, copy = map(json.loads, verified.stdout.splitlines())
    assert (boat["origin"]["prompt"], boat["origin"]["seed"], boat["origin"]["model"]) == ("a red boat", 5, "pixels")
    assert boat["watermark"]["found"]
    assert copy["watermark"]["found"]
    assert copy["origin"] is None


def test_interrupted_while_the_worker_starts_neither_file_nor_process_is_left(folder: Path) -> None:
    (folder / "empty").mkdir()
    drawing = command("draw", "a boat", "-o", "empty/boat.png", "-n", "10", "--steps", "200", "--model", "pixels")
    with subprocess.Popen(drawing, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 200
        while len(family := descendants(process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=200)
    assert (process.returncode, said, complaint) == (130, "", "")
    assert list((folder / "empty").iterdir()) == []
    assert still_running(family, within_s=10) == []
