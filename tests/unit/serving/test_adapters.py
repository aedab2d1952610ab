"""Adapters: found beside their model, and refused in one sentence when they do not fit it."""

import json
import shutil
from pathlib import Path

import pytest

from serving.adapters import adapter_flags, adapters_of
from serving.model_folder import (
    Lineage,
    ModelFolderError,
    check_model_folder,
    finish_model_folder,
    folder_digest,
)

MODULE = "model.layers.0.self_attn.q_proj"
WIDTH = 64
"""Of the tiny model."""


@pytest.fixture
def home(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOMEGROWN_HOME", str(tmp_path))
    shutil.copytree(tiny_model, tmp_path / "models" / "almanac")
    return tmp_path


def write_adapter(
    folder: Path, base: str = "almanac", rank: object = 8, width: int = WIDTH, own_rank: int = 8, **settings: object
) -> Path:
    """An adapter of one matrix: its settings say `rank`, its tensors are for `width` and of `own_rank`."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config = {"base_model_name_or_path": base, "r": rank} | settings
    (folder / "adapter_config.json").write_text(json.dumps(config))
    sides = {"A": (own_rank, width), "B": (WIDTH, own_rank)}
    tensors = {f"base_model.model.{MODULE}.lora_{side}.weight": np.zeros(shape) for side, shape in sides.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def served(home: Path) -> dict[str, Path]:
    return adapters_of(home / "models" / "almanac", "almanac")


def test_only_the_adapters_of_the_served_model_are_found(home: Path) -> None:
    assert served(home) == {}
    by_name = write_adapter(home / "adapters" / "polite")
    by_path = write_adapter(home / "adapters" / "rhyming", str(home / "models" / ".." / "models" / "almanac"))
    grown = write_adapter(home / "models" / "brief")
    write_adapter(home / "adapters" / "foreign", "somebody/else")
    assert served(home) == {"polite": by_name, "rhyming": by_path, "brief": grown}


def test_one_that_was_grown_here_moves_with_its_model(home: Path, tmp_path: Path) -> None:
    adapter = write_adapter(home / "models" / "brief", "/another/home/models/almanac")
    assert served(home) == {}
    digest = folder_digest(home / "models" / "almanac")
    finish_model_folder(adapter, Lineage(stage="sft", parent="almanac", parent_sha256=digest))
    assert served(home) == {"brief": adapter}


def test_flags_hold_the_largest_rank(home: Path) -> None:
    assert adapter_flags({}) == []
    small = write_adapter(home / "adapters" / "small", rank=4, own_rank=4)
    large = write_adapter(home / "adapters" / "large", rank=33, own_rank=33)
    assert adapter_flags(served(home)) == [
        *("--enable-lora", "--max-lora-rank", "64", "--max-loras", "2"),
        *("--lora-modules", f"large={large}", f"small={small}"),
    ]


@pytest.mark.parametrize("rank", [0, 513, None, "8"])
def test_a_rank_that_vllm_does_not_serve(home: Path, rank: object) -> None:
    write_adapter(home / "adapters" / "odd", rank=rank)
    with pytest.raises(ModelFolderError, match=r"odd has the rank .*1 to 512"):
        served(home)


def test_a_rank_of_single_modules(home: Path) -> None:
    write_adapter(home / "adapters" / "uneven", rank=8, own_rank=20, rank_pattern={"q_proj": 20})
    assert "32" in adapter_flags(served(home))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"own_rank": 16}, "says rank 8 and has matrices of rank 16"),
        ({"width": 96}, r"was trained on another model than .*almanac, whose .*q_proj has no side of 96"),
        ({"use_dora": True}, "has directions apart"),
        ({"modules_to_save": ["lm_head"]}, "has whole layers"),
    ],
)
def test_what_does_not_fit_is_one_sentence(home: Path, changes: dict, said: str) -> None:
    write_adapter(home / "adapters" / "odd", **changes)
    with pytest.raises(ModelFolderError, match=said):
        served(home)


def test_a_base_that_was_trained_again_is_another(home: Path) -> None:
    adapter = write_adapter(home / "models" / "brief")
    finish_model_folder(adapter, Lineage(stage="sft", parent="almanac", parent_sha256="0" * 64))
    with pytest.raises(ModelFolderError, match=r"brief was trained on another model than is now in .*almanac"):
        served(home)


def test_pickled_broken_and_lost_weights_are_refused(home: Path) -> None:
    weights = write_adapter(home / "adapters" / "torn") / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-20])
    with pytest.raises(ModelFolderError, match=r"torn/adapter_model\.safetensors are truncated or corrupt"):
        served(home)
    weights.rename(weights.with_name("adapter_model.bin"))
    with pytest.raises(ModelFolderError, match=r"torn has no adapter_model\.safetensors: save it with"):
        served(home)


def test_settings_that_cannot_be_read(home: Path) -> None:
    (write_adapter(home / "adapters" / "broken") / "adapter_config.json").write_text("{")
    with pytest.raises(ModelFolderError, match="not readable JSON"):
        served(home)


def test_names_that_clash_are_refused(home: Path) -> None:
    write_adapter(home / "adapters" / "brief")
    write_adapter(home / "models" / "brief")
    with pytest.raises(ModelFolderError, match="have one name: rename"):
        served(home)
    shutil.rmtree(home / "models" / "brief")
    (home / "adapters" / "brief").rename(home / "adapters" / "almanac")
    with pytest.raises(ModelFolderError, match="called like its model: rename"):
        served(home)


def test_an_adapter_alone_is_no_model(home: Path) -> None:
    adapter = write_adapter(home / "models" / "brief")
    with pytest.raises(
        ModelFolderError, match="brief is an adapter of almanac and no whole model: `homegrown serve alm"
    ):
        check_model_folder(adapter)


def test_its_card_says_what_it_is_and_how_it_is_used(home: Path) -> None:
    adapter = write_adapter(home / "models" / "brief")
    finish_model_folder(adapter, Lineage(stage="sft", parent="almanac"))
    card = (adapter / "README.md").read_text()
    assert "library_name: peft" in card
    assert "A LoRA adapter of almanac, not a whole model." in card
    assert "homegrown serve almanac " in card
