"""How far weights moved, against numbers worked out by hand."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from serving.weight_diff import relative_change, weight_diff


def write(folder: Path, **tensors: torch.Tensor) -> Path:
    folder.mkdir(parents=True)
    save_file({name.replace("__", "."): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def test_the_norm_of_the_difference_is_taken_over_that_of_the_first(tmp_path: Path) -> None:
    a = write(tmp_path / "a", w=torch.tensor([3.0, 4.0]), v=torch.tensor([12.0]))
    b = write(tmp_path / "b", w=torch.tensor([3.0, 3.0]), v=torch.tensor([12.0]))
    changes = {change.name: change for change in weight_diff(a, b).changes}
    assert changes["w"].relative == pytest.approx(1 / 5)
    assert changes["v"].relative == 0
    assert relative_change(changes.values()) == pytest.approx(1 / 13)


def test_a_small_change_of_bfloat16_weights_is_seen(tmp_path: Path) -> None:
    a = torch.full((64,), 1.0, dtype=torch.bfloat16)
    b = a.clone()
    b[0] += 2**-7
    (change,) = weight_diff(write(tmp_path / "a", w=a), write(tmp_path / "b", w=b)).changes
    assert change.relative == pytest.approx(2**-7 / 8)


def test_tensors_that_cannot_be_compared_are_named(tmp_path: Path) -> None:
    a = write(tmp_path / "a", old=torch.ones(2), shaped=torch.ones(2), coded=torch.ones(2, dtype=torch.uint8))
    b = write(tmp_path / "b", new=torch.ones(2), shaped=torch.ones(3), coded=torch.ones(2, dtype=torch.uint8))
    diff = weight_diff(a, b)
    assert (diff.only_a, diff.only_b, diff.reshaped, diff.coded) == (["old"], ["new"], ["shaped"], ["coded"])
    assert diff.changes == []


def test_a_weight_that_was_zero_and_one_that_is_no_number_are_not_made_up(tmp_path: Path) -> None:
    a = write(tmp_path / "a", grown=torch.zeros(2), broken=torch.ones(2), still=torch.zeros(2))
    b = write(tmp_path / "b", grown=torch.ones(2), broken=torch.tensor([1.0, math.nan]), still=torch.zeros(2))
    diff = weight_diff(a, b)
    relative = {change.name: change.relative for change in diff.changes}
    assert relative["grown"] == math.inf
    assert math.isnan(relative["broken"])
    assert relative["still"] == 0
    assert [change.name for change in diff.largest(2)] == ["broken", "grown"]


def test_layers_are_told_apart_and_gathered_where_there_are_many(tmp_path: Path) -> None:
    names = [f"model__layers__{layer}__{part}__weight" for layer in range(30) for part in ("self_attn", "mlp")]
    names += ["model__layers__0__self_attn__q_norm__weight", "model__embed_tokens__weight", "lm_head__weight"]
    a = write(tmp_path / "a", **{name: torch.ones(4) for name in names})
    moved = {name: torch.ones(4) * (3 if "layers__29__mlp" in name else 1) for name in names}
    rows = weight_diff(a, write(tmp_path / "b", **moved)).table()
    assert [*rows] == ["embedding", *(f"layers {first} to {first + 2}" for first in range(0, 30, 3)), "lm_head"]
    assert set(rows["layers 0 to 2"]) == {"attention", "mlp", "norms"}
    # One of three alike tensors moved by twice its norm.
    assert rows["layers 27 to 29"] == {"attention": 0, "mlp": pytest.approx(2 / math.sqrt(3))}


def test_the_parts_of_an_image_model_are_kept_apart(tmp_path: Path) -> None:
    for model, value in (("a", 1.0), ("b", 2.0)):
        for part in ("transformer", "text_encoder"):
            write(tmp_path / model / part, blocks__0__attn__weight=torch.full((2,), value))
    rows = weight_diff(tmp_path / "a", tmp_path / "b").table()
    assert rows == {"text_encoder layer 0": {"attention": 1.0}, "transformer layer 0": {"attention": 1.0}}
