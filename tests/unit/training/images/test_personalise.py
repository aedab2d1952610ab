"""`homegrown train personalise`: from a folder of pictures to a LoRA file, killed in between or not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from serving.errors import UserError
from serving.model_folder import Lineage, ModelFolderError, Source
from tests.tiny_pipelines import write_tiny_pipeline
from tests.unit.training.images.subjects import make_job, write_subject
from training.images import lora
from training.images.personalise import PersonalJob, Wish, personalise
from training.images.prior import prior_captions
from training.images.subject import read_subject, with_token


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.set_num_threads(1)
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(job: PersonalJob) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    path = job.folder / "job.json"
    path.write_text(job.model_dump_json())
    lora.main(path)


def test_command_leaves_a_lora_file_with_its_origin_and_sheets(home: Path, tmp_path: Path, capsys) -> None:
    model = write_tiny_pipeline(home / "models" / "images", "PixelPipeline")
    subject = write_subject(tmp_path / "subject")
    wish = Wish(subject=subject, token="sks", class_name="bar", steps=4, rank=2, prior=2, samples_every=2)
    file = personalise(wish)
    assert file == home / "loras" / "sks.safetensors"
    with safe_open(file, "np") as saved:
        told = saved.metadata()
    own = json.loads(told["homegrown"])
    assert own["base"] == "images"
    assert len(own["base_sha256"]) == 64
    assert (own["token"], own["class"], own["rank"], own["steps"]) == ("sks", "bar", 2, 4)
    assert own["date"] == told["modelspec.date"]
    assert told["modelspec.trigger_phrase"] == "sks bar"
    work = home / "runs" / "personalise-sks"
    assert sorted(sheet.name for sheet in (work / "samples").iterdir()) == ["step-000002.png", "step-000004.png"]
    assert len(list((work / "prior").glob("*.png"))) == 2
    assert not (work / "checkpoints").exists()
    assert "done:" in capsys.readouterr().out

    before = file.stat().st_mtime_ns
    assert personalise(wish) == file
    assert file.stat().st_mtime_ns == before
    assert "unchanged" in capsys.readouterr().out
    assert model.is_dir()


def test_killed_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = make_job(tmp_path / "straight", prior=2, class_name="bar")
    run(straight)
    killed = make_job(tmp_path / "killed", prior=2, class_name="bar")
    take_step = lora.LoraTraining.take_step

    def stumble(training: lora.LoraTraining) -> None:
        if training.step == 7:
            raise KeyboardInterrupt
        take_step(training)

    with monkeypatch.context() as patch:
        patch.setattr(lora.LoraTraining, "take_step", stumble)
        with pytest.raises(KeyboardInterrupt):
            run(killed)
    assert not killed.lora.exists()
    shutil.rmtree(killed.folder / "checkpoints" / "checkpoint-6")  # as if it had been killed while writing that
    run(killed)
    weights, others = load_file(straight.lora), load_file(killed.lora)
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert any(weights[name].any() for name in weights if "lora_B" in name)
    sheets = [job.folder / "samples" / "step-000010.png" for job in (straight, killed)]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()


def test_captions_get_the_token() -> None:
    assert with_token("a sks on red", "sks", None) == "a sks on red"
    assert with_token("A Dog  on\nred", "sks", "dog") == "A sks Dog on red"
    assert with_token("on a red wall", "sks", "dog") == "a sks dog, on a red wall"
    assert with_token("on a red wall", "sks", None) == "a sks, on a red wall"


def test_captions_come_from_text_files_tables_or_token_and_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_subject(tmp_path / "subject")
    (folder / "red.txt").unlink()
    (folder / "green.txt").unlink()
    (folder / "captions.jsonl").write_text(json.dumps({"file": "red.png", "caption": "in front of red"}))
    monkeypatch.chdir(folder)
    for name in (folder, Path(".")):
        photos = read_subject(name, 8, "sks", None, otherwise="a sks")
        assert [photo.caption for photo in photos] == ["a sks on a blue background", "a sks", "a sks, in front of red"]
        assert photos[0].picture.shape == (8, 8, 3)


def test_prior_pictures_show_the_world_that_our_model_learnt(tmp_path: Path) -> None:
    model = write_tiny_pipeline(tmp_path / "model", "PixelPipeline")
    assert prior_captions(model, None, "a {}", 3, seed=0) == []
    assert prior_captions(model, "dog", "a {}", 2, seed=0) == ["a dog"] * 2
    lineage = Lineage(stage="images", sources=[Source(name="small world", rows=0, sha256="")])
    (model / "lineage.json").write_text(lineage.model_dump_json())
    captions = prior_captions(model, "dog", "a {}", 20, seed=0)
    assert len(set(captions)) > 15
    assert captions == prior_captions(model, None, "a {}", 20, seed=0)
    assert not any("dog" in caption for caption in captions)


def refused(tmp_path: Path, match: str, **wish: object) -> None:
    with pytest.raises(UserError, match=match):
        personalise(Wish(**({"subject": tmp_path / "subject", "token": "sks"} | wish)))


def test_folders_without_usable_pictures_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "subject"
    refused(tmp_path, "There is no folder")
    folder.mkdir()
    refused(tmp_path, "holds no PNG, JPEG or WebP picture: put")
    (folder / "IMG_1.HEIC").write_bytes(b"")
    refused(tmp_path, "convert its 1 pictures")
    (folder / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken.jpg cannot be used, since it is no PNG"):
        read_subject(folder, 8, "sks", None, otherwise="a sks")


def test_unusable_names_and_models_are_refused(tmp_path: Path) -> None:
    write_subject(tmp_path / "subject")
    refused(tmp_path, "is not one word", token="my dog")
    with pytest.raises(UserError, match="is no name for a LoRA"):
        personalise(Wish(subject=tmp_path / "subject", token="sks"), name="../sks")
    with pytest.raises(ModelFolderError, match="There is no image model nothing"):
        personalise(Wish(subject=tmp_path / "subject", token="sks", model="nothing"))


def test_token_that_means_something_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path, token="s")
    with pytest.raises(UserError, match="has a meaning for 's' already"):
        run(job)
    assert not job.lora.exists()


def test_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    job = make_job(tmp_path, learning_rate=1e30)
    with pytest.raises(UserError, match="lower --learning-rate"):
        run(job)
    assert not job.lora.exists()


def test_photos_are_cut_to_the_size_of_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "subject"
    folder.mkdir()
    Image.new("RGB", (60, 20), "red").save(folder / "wide.png")
    (photo,) = read_subject(folder, 16, "sks", None, otherwise="a sks")
    assert np.array_equal(photo.picture, np.full((16, 16, 3), (255, 0, 0), np.uint8))
