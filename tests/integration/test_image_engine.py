"""The image worker as a process of its own, watched by its engine: real diffusers pipelines, tiny."""

import base64
import contextlib
import io
import json
import os
import pickle
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from serving.engine import EngineError
from serving.image_engine import ImageEngine
from serving.model_folder import ModelFolderError
from serving.serve import make_image_engine, print_plan
from serving.settings import read_settings
from tests.processes import descendants, still_running
from tests.tiny_pipelines import write_tiny_lora, write_tiny_pipeline


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own with the model `images` and a LoRA for it."""
    home = tmp_path_factory.mktemp("image home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEGROWN_HOME", str(home))
        folder = write_tiny_pipeline(home / "models" / "images", "PixelPipeline")
        write_tiny_lora(folder, home / "loras" / "mine.safetensors")
        yield home


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[ImageEngine]:
    with ImageEngine() as engine:
        yield engine


def events(engine: ImageEngine, **wish: object) -> list[dict]:
    wish = {"prompt": "a red circle", "seed": 1, "width": 64, "height": 64} | wish
    answer = httpx.post(f"{engine.base_url}/draw", json=wish, timeout=120)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def pixels(engine: ImageEngine, **wish: object) -> bytes:
    (drawn,) = [event for event in events(engine, **wish) if event["type"] == "picture"]
    return Image.open(io.BytesIO(base64.b64decode(drawn["image"]))).tobytes()


def until(happened: Callable[[], bool], within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def worker_of(engine: ImageEngine) -> int:
    """The process that draws, below the leash."""
    port = engine.base_url.rpartition(":")[2]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(os.getpid())}
    (pid,) = [pid for pid, command in commands.items() if port in command and "leash" not in command]
    return pid


def test_it_draws_with_and_without_a_lora(engine: ImageEngine) -> None:
    assert (engine.model_name, engine.state.name) == ("images", "ready")
    plain = pixels(engine)
    assert pixels(engine, loras=[{"name": "mine"}]) != plain
    assert pixels(engine) == plain


def test_many_ask_at_once_and_each_gets_his_own(engine: ImageEngine) -> None:
    alone = [pixels(engine, seed=seed, prompt=f"{seed} x") for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda seed: pixels(engine, seed=seed, prompt=f"{seed} x"), range(6)))
    for one, other in zip(alone, together, strict=True):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) <= 1


def test_a_model_that_goes_on_learning_is_taken_up(engine: ImageEngine, home: Path) -> None:
    before = pixels(engine)
    newer = write_tiny_pipeline(home / "newer", "PixelPipeline", seed=3)
    folder = home / "models" / "images"
    folder.rename(home / "older")
    newer.rename(folder)
    assert pixels(engine) != before


def test_a_worker_that_is_killed_in_the_middle_comes_back(engine: ImageEngine) -> None:
    before, wish = pixels(engine), {"prompt": "x", "steps": 200, "n": 10}
    with (
        contextlib.suppress(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{engine.base_url}/draw", json=wish, timeout=120) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        os.kill(worker_of(engine), signal.SIGKILL)
        assert all('"done"' not in line for line in lines)
    until(lambda: engine.state.name == "restarting")
    until(lambda: engine.state.name == "ready")
    assert pixels(engine) == before


def test_a_model_that_is_still_learning_is_waited_for(engine: ImageEngine, home: Path, tmp_path: Path) -> None:
    progress = home / "runs" / "sprout" / "progress.json"
    progress.parent.mkdir(parents=True)
    progress.write_text(json.dumps({"share": 0.42, "seconds_left": 125.0}))
    growing = ImageEngine("sprout")
    growing.start()
    try:
        until(lambda: "42 %" in growing.state.reason)
        assert growing.state.name == "learning"
        assert growing.state.reason == "the image model is still learning (42 %, first pictures in about 2 minutes)"
        progress.unlink()
        until(lambda: "training has stopped" in growing.state.reason)
        shutil.copytree(home / "models" / "images", tmp_path / "sprout").rename(home / "models" / "sprout")
        growing.wait_ready()
        assert events(growing)[-1]["model"] == "sprout"
        worker = worker_of(growing)
    finally:
        growing.stop()
    assert still_running([worker], within_s=5) == []


def test_a_model_that_cannot_be_used_is_refused_at_once(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "models" / "images", tmp_path / "hostile"))
    (folder / "transformer" / "weights.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(ModelFolderError, match="holds a pickle"):
        ImageEngine(str(folder))
    with pytest.raises(ModelFolderError, match="no image model nobody"):
        ImageEngine("nobody")


def test_a_broken_one_of_ours_does_not_keep_text_from_being_served(home: Path) -> None:
    (home / "models" / "broken").mkdir()
    engine = ImageEngine("broken")
    engine.start()
    with pytest.raises(ModelFolderError, match=r"has no model_index\.json"):
        engine.wait_ready()
    assert (engine.state.name, "model_index" in engine.state.reason) == ("failed", True)


def test_one_that_does_not_load_says_why(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "models" / "images", tmp_path / "strange"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "NoSuchPipeline"}))
    with pytest.raises(EngineError, match=r"NoSuchPipeline.*images\.log"), ImageEngine(str(folder)):
        pass


def test_what_the_settings_ask_for(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = make_image_engine(read_settings(image_queue=3, image_dtype="float32"), None)
    command = " ".join(engine.command())
    assert f"--model {home}/models/images --name images" in command
    assert "--queue 3 --batch 8" in command
    assert command.endswith("--dtype float32")
    assert engine.environment()["OMP_WAIT_POLICY"] == "PASSIVE"
    assert make_image_engine(read_settings(images=False), None) is None
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    assert make_image_engine(read_settings(), None) is None
    with pytest.raises(ModelFolderError):
        make_image_engine(read_settings(image_model="nobody"), None)


def test_both_engines_are_planned(home: Path, tiny_model: Path, capsys: pytest.CaptureFixture) -> None:
    print_plan(read_settings(), str(tiny_model))
    plan = capsys.readouterr().out
    assert plan.index("vllm.entrypoints") < plan.index("-m serving.images.worker")
    print_plan(read_settings(images=False), str(tiny_model))
    assert "# no image engine is started" in capsys.readouterr().out
