import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.images.folder import check_image_folder, identity, image_folder, is_own, parameter_counts, variant
from serving.model_folder import ModelFolderError
from tests.tiny_pipelines import NATIVE_SIZE


@pytest.fixture
def folder(pipeline_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(pipeline_folder("StableDiffusionPipeline"), tmp_path / "model"))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def pickle_weights(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def pickle_under_another_name(folder: Path) -> None:
    (folder / "unet" / "weights.dat").write_bytes(pickle.dumps({"weights": 1}))
    index = {"weight_map": {"conv_in.weight": "weights.dat"}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def shard_out_of_the_folder(folder: Path) -> None:
    index = {"weight_map": {"conv_in.weight": "../vae/diffusion_pytorch_model.safetensors"}}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def bring_a_pipeline(folder: Path) -> None:
    (folder / "pipeline.py").write_text("raise SystemExit('executed')")


def bring_a_model(folder: Path) -> None:
    (folder / "unet" / "my_unet.py").write_text("raise SystemExit('executed')")


def name_a_pipeline_of_its_own(folder: Path) -> None:
    edit(folder / "model_index.json", _class_name=["pipeline", "MyPipeline"])


def name_a_module_elsewhere(folder: Path) -> None:
    edit(folder / "model_index.json", unet=["os.path", "join"])


def name_a_part_elsewhere(folder: Path) -> None:
    edit(folder / "model_index.json", **{"../outside": ["diffusers", "AutoencoderKL"]})


def ask_for_remote_code(folder: Path) -> None:
    edit(folder / "text_encoder" / "config.json", auto_map={"AutoModel": "modeling.Mine"})


def ask_for_it_in_disguise(folder: Path) -> None:
    file = folder / "tokenizer" / "tokenizer_config.json"
    file.write_text(file.read_text().replace("{", '{"auto\\u005fmap": {"AutoTokenizer": "x.Y"},', 1))


def link_out_of_the_folder(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(folder.parent / "elsewhere.safetensors")
    weights.symlink_to(folder.parent / "elsewhere.safetensors")


def remove_a_part(folder: Path) -> None:
    shutil.rmtree(folder / "vae")


def remove_weights(folder: Path) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def truncate_weights(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])


def corrupt_weights(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(b"\xff" * 8 + weights.read_bytes()[8:])


def break_the_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


def remove_the_index(folder: Path) -> None:
    (folder / "model_index.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (pickle_weights, r"a pickle .*diffusion_pytorch_model.bin"),
        (pickle_under_another_name, r"names the weights 'weights\.dat', which is no safetensors"),
        (shard_out_of_the_folder, r"names the weights '\.\./vae"),
        (bring_a_pipeline, r"code of its own \(pipeline\.py\)"),
        (bring_a_model, r"code of its own \(unet/my_unet\.py\)"),
        (name_a_pipeline_of_its_own, "no pipeline class of diffusers"),
        (name_a_module_elsewhere, r"takes unet \(join\) from the module os\.path"),
        (name_a_part_elsewhere, "has no part"),
        (ask_for_remote_code, "text_encoder/config.json .*auto_map"),
        (ask_for_it_in_disguise, "tokenizer/tokenizer_config.json .*auto_map"),
        (link_out_of_the_folder, "leads out of the model folder"),
        (remove_a_part, "has no part vae"),
        (remove_weights, "vae has no weights"),
        (truncate_weights, "truncated or corrupt"),
        (corrupt_weights, "truncated or corrupt"),
        (break_the_index, "not readable JSON"),
        (remove_the_index, "has no model_index.json"),
        (shutil.rmtree, "does not exist"),
    ],
)
def test_what_is_refused_before_anything_is_loaded(folder: Path, spoil: Callable[[Path], None], reason: str) -> None:
    check_image_folder(folder)
    spoil(folder)
    with pytest.raises(ModelFolderError, match=reason):
        check_image_folder(folder)


@pytest.mark.parametrize("kind", NATIVE_SIZE)
def test_a_pipeline_as_diffusers_saves_it(pipeline_folder: Callable[[str], Path], kind: str) -> None:
    folder = pipeline_folder(kind)
    check_image_folder(folder)
    assert is_own(folder) == kind.startswith("PixelPipeline")
    assert variant(folder) is None


def test_parameters_are_counted_from_the_headers(pipeline_folder: Callable[[str], Path]) -> None:
    from diffusers import UNet2DConditionModel

    folder = pipeline_folder("StableDiffusionPipeline")
    counts = parameter_counts(folder)
    assert set(counts) == {"unet", "vae", "text_encoder"}
    assert counts["unet"] == UNet2DConditionModel.from_pretrained(folder / "unet").num_parameters()


def test_weights_of_half_precision_count_where_there_are_no_others(folder: Path) -> None:
    counts = parameter_counts(folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    half = weights.with_name("diffusion_pytorch_model.fp16.safetensors")
    shutil.copy(weights, half)
    assert (variant(folder), parameter_counts(folder)) == (None, counts)
    weights.unlink()
    check_image_folder(folder)
    assert (variant(folder), parameter_counts(folder)) == ("fp16", counts)


def test_a_folder_that_is_replaced_is_another(folder: Path, pipeline_folder: Callable[[str], Path]) -> None:
    before = identity(folder)
    assert identity(folder) == before
    newer = Path(shutil.copytree(pipeline_folder("StableDiffusionPipeline"), folder.with_name("newer")))
    folder.rename(folder.with_name("older"))
    assert identity(folder) is None
    newer.rename(folder)
    assert identity(folder) not in (None, before)


def test_a_model_is_found_by_its_folder_and_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path / "home"))
    assert image_folder(str(folder)) == folder
    grown = Path(shutil.copytree(folder, tmp_path / "home" / "models" / "images"))
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert image_folder("images") == grown
    for name in ("nothing", "../model", ""):
        with pytest.raises(ModelFolderError, match=r"no image model .*homegrown train images"):
            image_folder(name)


def test_a_text_model_is_no_image_model(tiny_model: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"has no model_index\.json"):
        image_folder(str(tiny_model))
