import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.api.errors import ApiError
from serving.images.jobs import Cancelled, Job, Picture
from serving.images.loras import LoraFolder
from serving.images.painter import Painter
from serving.images.request import DrawRequest
from serving.images.uploads import Upload
from serving.model_folder import ModelFolderError, folder_digest
from tests.tiny_model import one_thread
from tests.tiny_pipelines import NATIVE_SIZE, write_tiny_lora

KINDS = list(NATIVE_SIZE)
FAST = ["StableDiffusionPipeline", "PixelPipeline"]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def loras(tmp_path_factory: pytest.TempPathFactory, pipeline_folder: Callable[[str], Path]) -> Path:
    """LoRAs called by their pipelines' classes, two of each, and a broken one."""
    folder = tmp_path_factory.mktemp("loras")
    for kind in KINDS:
        write_tiny_lora(pipeline_folder(kind), folder / f"{kind}.safetensors", seed=1)
        write_tiny_lora(pipeline_folder(kind), folder / f"{kind}-2" / "pytorch_lora_weights.safetensors", seed=2)
    (folder / "broken.safetensors").write_bytes(b"nothing")
    return folder


@pytest.fixture(scope="module")
def painter(loras: Path, pipeline_folder: Callable[[str], Path]) -> Callable[[str], Painter]:
    """A painter for each class, shared by the tests: what one leaves behind must not show in another's pictures."""
    return cache(lambda kind: Painter(pipeline_folder(kind), LoraFolder(loras)))


def asked(painter: Painter, upload: Upload | None = None, **fields: object) -> list[Picture]:
    """The pictures of a request for the smallest size that the model draws as it is asked."""
    side = max(16, painter.native_size[0] // 2)
    settings = {"prompt": "a red circle", "seed": 1, "steps": 2, "width": side, "height": side}
    return Job(DrawRequest(**settings | fields), upload, lambda event: None).pictures()


def drawn(painter: Painter, pictures: list[Picture], after_step: Callable = lambda *_: None) -> list[np.ndarray]:
    return [np.asarray(picture).astype(int) for picture in painter.draw(pictures, after_step)]


def drawn_with(painter: Painter, upload: Upload | None = None, **fields: object) -> np.ndarray:
    return drawn(painter, asked(painter, upload, **fields))[0]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in grey levels."""
    return abs(one - other).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_any_pipeline_draws_at_its_native_size(painter: Callable[[str], Painter], kind: str) -> None:
    side = NATIVE_SIZE[kind]
    it = painter(kind)
    assert (it.kind, it.native_size) == (kind.removesuffix("-slots"), (side, side))
    assert it.own == kind.startswith("PixelPipeline")
    assert drawn_with(it, width=None, height=None, steps=1).shape == (side, side, 3)


def test_what_drew_can_be_named(painter: Callable[[str], Painter], pipeline_folder: Callable[[str], Path]) -> None:
    assert painter("PixelPipeline").sha256 == folder_digest(pipeline_folder("PixelPipeline"))
    assert painter("PixelPipeline").steps == 8
    assert painter("StableDiffusionPipeline").steps == 50


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_the_same_in_every_batch(painter: Callable[[str], Painter], kind: str) -> None:
    it = painter(kind)
    alone = drawn_with(it)
    others = [*asked(it, prompt="x y", seed=5), *asked(it), *asked(it, prompt="a longer prompt")]
    together = drawn(it, others)
    assert abs(together[1] - alone).max() <= 1
    assert distance(together[0], alone) > 0.1
    second = drawn(it, asked(it, seed=0, n=2))[1]  # drawn with the seed 1
    assert abs(second - alone).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_words_seeds_steps_and_negative_prompts_count(painter: Callable[[str], Painter], kind: str) -> None:
    it = painter(kind)
    usual = drawn_with(it)
    assert distance(drawn_with(it), usual) == 0
    for changed in ({"prompt": "blue"}, {"seed": 2}, {"steps": 3}, {"negative_prompt": "circle"}, {"guidance": 9.0}):
        if (kind, *changed) != ("FluxPipeline", "guidance"):  # the tiny one was not distilled with guidance
            assert distance(drawn_with(it, **changed), usual) > 0.02, changed


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_works_by_its_scale_and_leaves_no_trace(painter: Callable[[str], Painter], kind: str) -> None:
    it = painter(kind)
    plain = drawn_with(it)
    full = drawn_with(it, loras=[{"name": kind}])
    half = drawn_with(it, loras=[{"name": kind, "scale": 0.5}])
    both = drawn_with(it, loras=[{"name": kind}, {"name": f"{kind}-2"}])
    pictures = [plain, full, half, both]
    assert min(distance(one, two) for i, one in enumerate(pictures) for two in pictures[:i]) > 0.02
    assert distance(drawn_with(it), plain) == 0
    assert distance(drawn_with(it, loras=[{"name": kind}]), full) == 0
    assert distance(drawn_with(it, loras=[{"name": kind, "scale": 0}]), plain) == 0


def test_a_lora_of_another_model_is_refused_and_leaves_no_trace(painter: Callable[[str], Painter]) -> None:
    for kind in FAST:
        it = painter(kind)
        plain = drawn_with(it)
        for name in ("FluxPipeline", "broken"):
            with pytest.raises(ApiError, match=f"`{name}` does not fit this model") as refused:
                drawn_with(it, loras=[{"name": kind}, {"name": name}])
            assert (refused.value.status, refused.value.param) == (400, "loras")
            assert distance(drawn_with(it), plain) == 0


def test_a_lora_that_is_trained_on_is_loaded_anew(pipeline_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = pipeline_folder("PixelPipeline")
    it = Painter(folder, LoraFolder(tmp_path))
    write_tiny_lora(folder, tmp_path / "mine.safetensors", seed=1)
    before = drawn_with(it, loras=[{"name": "mine"}])
    write_tiny_lora(folder, tmp_path / "mine.safetensors", seed=2)
    assert distance(drawn_with(it, loras=[{"name": "mine"}]), before) > 0.05


def test_what_a_model_cannot_do_is_said_before_it_waits(painter: Callable[[str], Painter]) -> None:
    with pytest.raises(ApiError, match=r"no LoRA `nobody` here; there are: .*FluxPipeline-2"):
        painter("PixelPipeline").check(DrawRequest(prompt="x", loras=[{"name": "nobody"}]))


@pytest.mark.parametrize("kind", FAST)
def test_a_foreign_size_is_drawn_at_the_nearest_that_the_model_knows(
    painter: Callable[[str], Painter], kind: str
) -> None:
    shape = drawn_with(painter(kind), width=100, height=62).shape
    assert shape == ((64, 96, 3) if kind == "StableDiffusionPipeline" else (16, 16, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_and_a_mask_are_kept_to(painter: Callable[[str], Painter], kind: str) -> None:
    it = painter(kind)
    side = it.native_size[0] // 2
    image = Image.new("RGB", (side, side), (200, 40, 40))
    mask = Image.new("L", (side, side), 0)
    mask.paste(255, (0, 0, side // 2, side))
    anew = drawn_with(it, steps=4)
    little, much, masked = (
        drawn_with(it, Upload(image, given), steps=4, strength=strength)
        for given, strength in ((None, 0.3), (None, 1.0), (mask, 1.0))
    )
    assert little.shape == much.shape == masked.shape == anew.shape
    assert distance(little, much) > 0.1
    assert distance(little, anew) > 0.1
    assert distance(masked, much) > 0.02


@pytest.mark.parametrize("kind", FAST)
def test_the_least_strength_still_draws_a_step(painter: Callable[[str], Painter], kind: str) -> None:
    upload = Upload(Image.new("RGB", (64, 64), "red"), None)
    steps = []
    pictures = asked(painter(kind), upload, steps=3, strength=0.01)
    drawn(painter(kind), pictures, lambda _, step, *__: steps.append(step))
    assert steps == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_told_with_a_guess_of_the_right_picture(painter: Callable[[str], Painter], kind: str) -> None:
    told, guesses = [], []

    def after_step(pictures: list[Picture], step: int, steps: int, preview: Callable) -> None:
        told.append((len(pictures), step, steps))
        guesses.append(preview(1))

    drawn = painter(kind).draw(asked(painter(kind), n=2, steps=4), after_step)
    assert told == [(2, step, 4) for step in range(1, 5)]
    other, final, guess = (thumbnail(picture) for picture in [*drawn, guesses[-1]])
    assert distance(guess, final) < distance(guess, other)


def thumbnail(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((16, 16), Image.Resampling.BOX)).astype(int)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_nobody_wants_stops_at_once(painter: Callable[[str], Painter], kind: str) -> None:
    steps = []

    def after_step(pictures: list[Picture], step: int, *_: object) -> None:
        steps.append(step)
        if step == 2:
            raise Cancelled

    it = painter(kind)
    usual = drawn_with(it)
    with pytest.raises(Cancelled):
        it.draw(asked(it, steps=50), after_step)
    assert steps == [1, 2]
    assert distance(drawn_with(it), usual) == 0


def spoiled(folder: Path, to: Path, part: str, weights: str, value: float) -> Path:
    """A copy of a pipeline in which those weights of a part that are called so have one value."""
    import torch
    from safetensors.torch import load_file, save_file

    copy = Path(shutil.copytree(folder, to))
    file = copy / part / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    changed = {name: torch.full_like(tensor, value) for name, tensor in tensors.items() if weights in name}
    assert changed
    save_file(tensors | changed, file, metadata={"format": "pt"})
    return copy


@pytest.mark.parametrize(
    ("kind", "part", "weights", "value", "reason"),
    [
        ("StableDiffusionPipeline", "vae", "decoder.conv_out.bias", float("nan"), "no numbers"),
        ("StableDiffusionPipeline", "vae", "decoder.conv_out.bias", -1e4, "nothing but black"),
        ("PixelPipeline", "transformer", "", float("nan"), "no numbers"),
    ],
)
def test_a_broken_picture_is_an_error_with_a_reason(
    pipeline_folder: Callable[[str], Path],
    tmp_path: Path,
    kind: str,
    part: str,
    weights: str,
    value: float,
    reason: str,
) -> None:
    it = Painter(spoiled(pipeline_folder(kind), tmp_path / "model", part, weights, value), LoraFolder(tmp_path))
    (error,) = it.draw(asked(it), lambda *_: None)
    assert isinstance(error, ApiError)
    assert (error.code, reason in error.message) == ("broken_picture", True)


def test_the_models_own_safety_checker_is_kept(pipeline_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pipeline_folder("StableDiffusionPipeline"), tmp_path / "model"))
    add_safety_checker(folder)
    it = Painter(folder, LoraFolder(tmp_path))
    (error,) = it.draw(asked(it), lambda *_: None)
    assert isinstance(error, ApiError)
    assert (error.status, error.code) == (400, "content_policy_violation")


def add_safety_checker(folder: Path) -> None:
    """One that flags everything."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        vision_config=small | {"image_size": 32, "patch_size": 16, "projection_dim": 16}, projection_dim=16
    )
    checker = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights.data = torch.full_like(checker.concept_embeds_weights, -2.0)
    checker.save_pretrained(folder / "safety_checker")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder / "feature_extractor")
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index | {"requires_safety_checker": True}))


def test_a_pipeline_that_does_not_draw_from_text_is_refused(
    pipeline_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(pipeline_folder("StableDiffusionPipeline"), tmp_path / "model"))
    index = json.loads((folder / "model_index.json").read_text())
    for kind in ("StableDiffusionInpaintPipeline", "StableDiffusionImg2ImgPipeline"):
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
        with pytest.raises(ModelFolderError, match=f"holds a {kind}, which does not draw pictures from text alone"):
            Painter(folder, LoraFolder(tmp_path))
