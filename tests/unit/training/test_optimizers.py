import copy

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from training.model import build_model
from training.optimizers import MuonAdamW, StackedMuon, build_optimizer, warmup_stable_decay
from training.recipe import ModelSection, load_recipe
from training.section import LoraSection


@pytest.fixture
def section():
    return load_recipe("tiny").pretrain


def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, number: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(number):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator) * 0.01
        optimizer.step()


def test_stacked_muon_is_muon() -> None:
    torch.manual_seed(0)
    shapes = [(32, 32), (96, 32), (32, 96), (32, 32), (64, 32)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    first = StackedMuon(ours, lr=0.01, weight_decay=0.1)
    second = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        first.step()
        second.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_matrices_of_blocks_go_to_muon_and_the_rest_to_adamw(section) -> None:
    model = build_model(ModelSection(depth=2), 64, 2, 0)
    muon, adamw = build_optimizer(model, section).parts
    assert sum(p.numel() for p in muon.param_groups[0]["params"]) == 2 * (4 * 64 * 64 + 3 * 64 * 192)
    everything = [p for part in (muon, adamw) for p in part.param_groups[0]["params"]]
    assert {id(p) for p in everything} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("muon", StackedMuon)])
def test_adapters_are_trained_with_one_optimizer(name: str, kind: type) -> None:
    from peft import get_peft_model

    from training.adapters import lora_config

    lora = LoraSection(rank=2, optimizer=name)
    base = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=64))  # its blocks are called h
    model = get_peft_model(base, lora_config(lora))
    (optimizer,) = build_optimizer(model, load_recipe("tiny").sft.model_copy(update={"lora": lora})).parts
    assert isinstance(optimizer, kind)


def test_a_schedule_reaches_both_parts(section) -> None:
    optimizer = build_optimizer(build_model(ModelSection(depth=1), 64, 2, 0), section)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)  # sets the rates of step 0 when made
    assert [part.param_groups[0]["lr"] for part in optimizer.parts] == [0.002, 0.002]


def test_a_restored_optimizer_goes_on_exactly(section) -> None:
    torch.manual_seed(0)
    model = build_model(ModelSection(depth=1), 64, 2, 0)
    optimizer = build_optimizer(model, section)
    steps(model, optimizer, 3, seed=1)
    twin = copy.deepcopy(model)
    restored = build_optimizer(twin, section)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert isinstance(restored, MuonAdamW)
    steps(model, optimizer, 3, seed=2)
    steps(twin, restored, 3, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))


def test_the_schedule_rises_stays_and_falls() -> None:
    factor = warmup_stable_decay(steps=1000, warmup=50, decay=0.4)
    values = [factor(step) for step in range(1000)]
    assert values[0] == pytest.approx(1 / 51)
    assert values[50:600] == [1.0] * 550
    assert values[800] == pytest.approx(0.5)
    assert 0 < values[-1] <= 1 / 400
    assert values[:50] == sorted(values[:50])
    assert values[600:] == sorted(values[600:], reverse=True)


def test_no_decay_and_decay_from_the_start() -> None:
    assert warmup_stable_decay(100, 0, 0.0)(99) == 1.0
    assert warmup_stable_decay(100, 0, 1.0)(50) == 0.5
    assert warmup_stable_decay(10, 50, 0.0)(1) == 1.0
