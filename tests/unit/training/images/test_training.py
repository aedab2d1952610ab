"""The stage `images`: it learns, it can be used meanwhile, and a kill changes nothing."""

import json
import shutil
from pathlib import Path

import PIL.Image
import pytest

from serving.images.folder import check_image_folder
from serving.model_folder import read_lineage
from tests.unit.training.conftest import Workshop, kill_after_checkpoint, weights

TINY = {
    "budget": "640 images",
    "batch": 16,
    "size": 32,
    "dim": 32,
    "depth": 1,
    "heads": 2,
    "processes": 2,
    "checkpoint_every": 10,
    "samples_every": 20,
    "warmup_steps": 4,
    "compile": False,
    "sources": [{"world": "small"}],
}


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One whose image model is grown; read only."""
    workshop = Workshop(tmp_path_factory.mktemp("drawing"), {"name": "small", "seed": 3, "images": TINY})
    done = workshop.train("images")
    assert done.returncode == 0, done.stderr
    return workshop


def curves(workshop: Workshop) -> dict[str, list]:
    return json.loads((workshop.home / "runs" / "small" / "images" / "curves.json").read_text())


def test_it_is_a_pipeline_folder_that_learnt(drawing: Workshop) -> None:
    folder = drawing.home / "models" / "small"
    check_image_folder(folder)
    lineage = read_lineage(folder)
    assert (lineage.stage, lineage.pictures) == ("images", 640)
    assert [source.name for source in lineage.sources] == ["small world"]
    assert "text-to-image" in (folder / "README.md").read_text()
    learnt = curves(drawing)
    assert set(learnt) == {"training", "at 0.25", "at 0.5", "at 0.75", "at 1"}
    del learnt["at 1"]  # what to draw comes later than how
    for name, losses in learnt.items():
        assert losses[-1][1] < 0.9 * losses[0][1], name


def test_it_shows_how_far_it_is(drawing: Workshop) -> None:
    stage = drawing.home / "runs" / "small" / "images"
    assert [sheet.name for sheet in sorted((stage / "samples").iterdir())] == ["step-000020.png", "step-000040.png"]
    for picture in (stage / "curve.png", stage / "samples" / "step-000040.png"):
        assert PIL.Image.open(picture).size > (200, 200)
    assert not (drawing.home / "runs" / "small" / "progress.json").exists()


def test_killed_and_started_again_it_ends_with_the_same_weights(drawing: Workshop, tmp_path: Path) -> None:
    killed = Workshop(tmp_path, drawing.recipe)
    kill_after_checkpoint(killed, "images")
    half_done = read_lineage(killed.home / "models" / "small")
    assert 0 < half_done.pictures < 640
    check_image_folder(killed.home / "models" / "small")
    progress = json.loads((killed.home / "runs" / "small" / "progress.json").read_text())
    assert 0 < progress["share"] < 1
    done = killed.train("images")
    assert done.returncode == 0, done.stderr
    assert weights(killed, "small") == weights(drawing, "small")
    assert {name: dict(losses) for name, losses in curves(killed).items()} == {
        name: dict(losses) for name, losses in curves(drawing).items()
    }


def test_unchanged_it_is_not_grown_again(drawing: Workshop, tmp_path: Path) -> None:
    again = Workshop(tmp_path, drawing.recipe)
    shutil.copytree(drawing.home, again.home)
    assert "images  unchanged" in again.train("run").stdout
    assert "images  done" in again.train("run", "--set", "images.budget=64 images").stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("images.size=50", "size (50) is no multiple of patch (8)"),
        ("images.sources=[{weight: 2}]", "either `world` or `name`"),
        ("images.budget=3M tokens", "is no budget: write images"),
        ("images.sizes=48", "did you mean size?"),
        ("images.sources=[{world: tiny}]", "'small' or 'large'"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(drawing: Workshop, change: str, said: str) -> None:
    done = drawing.train("images", "--set", change)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
