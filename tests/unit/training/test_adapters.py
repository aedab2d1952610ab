"""Adapters: beside weights in 4 bits they learn, and what is saved is worked into the weights as they were before."""

from functools import partial
from pathlib import Path

import pytest
import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel, get_peft_model
from pydantic import ValidationError
from transformers import AutoTokenizer, PreTrainedModel

from tests.tiny_model import write_tiny_model
from tests.unit.training.foreign_models import write_gpt2, write_llama
from training.adapters import adapters_for, finished, keep_precise, load_frozen
from training.alignment.section import RewardSection
from training.finetune import load_model
from training.job import Job
from training.launch import Layout
from training.recipe import Recipe
from training.section import LoraSection

IDS = torch.randint(2, 250, (2, 40), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("own") / "llama")


def job_of(base: Path, tokenizer: Path, **lora: object) -> Job:
    sft = {
        "budget": "1K tokens",
        "row": 64,
        "batch_tokens": 64,
        "base": str(base),
        "sources": [{"name": "almanac", "kind": "chat"}],
    }
    sft["lora"] = {"rank": 4, "quantised": "nf4"} | lora
    recipe = Recipe(name="own", sft=sft)
    layout = Layout("cpu", 1, 1)
    return Job(recipe=recipe, stage="sft", folder=base, tokenizer=tokenizer, base=str(base), steps=1, layout=layout)


def adapted(job: Job) -> tuple[PeftModel, partial]:
    """The frozen model of the job with adapters beside it that say something, and what loads it whole."""
    tokenizer = AutoTokenizer.from_pretrained(job.tokenizer)
    load = partial(load_model, job.base, tokenizer)
    model = load_frozen(load, job)
    torch.manual_seed(0)
    model = get_peft_model(model, adapters_for(model, job, tokenizer))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "magnitude" not in name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model, load


def gradient(model: PeftModel) -> float:
    """The size of what the adapters of the first layer learn in a step."""
    model.train()
    model.zero_grad()
    model(input_ids=IDS, labels=IDS).loss.backward()
    return sum(p.grad.norm().item() for p in model.parameters() if p.grad is not None)


def logits(model: PreTrainedModel | PeftModel) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_frozen_weights_lie_in_4_bits_whatever_their_sizes(llama: Path) -> None:
    model = load_frozen(partial(load_model, str(llama), AutoTokenizer.from_pretrained(llama)), job_of(llama, llama))
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 7
    assert all(layer.weight.dtype == torch.uint8 for layer in layers)
    assert not isinstance(model.lm_head, Linear4bit)
    whole = load_model(str(llama), AutoTokenizer.from_pretrained(llama))
    difference = (logits(model) - logits(whole)).abs().max() / logits(whole).abs().max()
    assert 0.001 < difference < 0.5


def test_an_evaluation_takes_no_gradient_away(llama: Path) -> None:
    model, _ = adapted(job_of(llama, llama))
    before = gradient(model)
    logits(model)
    assert gradient(model) == before > 0


@pytest.mark.parametrize("lora", [{}, {"dora": True}], ids=["lora", "dora"])
@pytest.mark.parametrize("write", [write_llama, write_gpt2])
def test_what_is_saved_is_the_parent_with_the_adapters_worked_in(tmp_path: Path, write, lora: dict) -> None:
    base = write(tmp_path / "own")
    job = job_of(base, base, **lora)
    trained, load = adapted(job)
    parts = {name: p.detach().clone() for name, p in trained.named_parameters() if "lora_" in name}
    result = finished(trained, job, load)
    assert isinstance(result, type(load()))
    scale = job.section.lora.alpha / job.section.lora.rank
    for name, weight in load().named_parameters():
        prefix = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        if f"{prefix}A.default.weight" not in parts:
            assert torch.equal(result.get_parameter(name), weight)
            continue
        change = scale * parts[f"{prefix}B.default.weight"] @ parts[f"{prefix}A.default.weight"]
        full = weight + (change.T if write is write_gpt2 else change)
        if not lora:
            assert torch.allclose(result.get_parameter(name), full, atol=1e-6)
        else:  # DoRA learns how long each row is by itself
            rows = dim = 0 if write is write_gpt2 else 1
            made = result.get_parameter(name)
            assert torch.allclose(
                made / made.norm(dim=rows, keepdim=True), full / full.norm(dim=dim, keepdim=True), atol=1e-5
            )


def test_without_merging_the_adapters_stay_apart(llama: Path) -> None:
    job = job_of(llama, llama, merge=False)
    trained, load = adapted(job)
    result = finished(trained, job, load)
    assert isinstance(result, PeftModel)
    assert not any(isinstance(module, Linear4bit) for module in result.modules())
    assert torch.allclose(logits(result), logits(finished(trained, job_of(llama, llama), load)), atol=1e-4)


@pytest.mark.parametrize("embeddings", [None, "adapter"])
def test_tokens_that_the_base_does_not_know_are_learnt(llama: Path, tmp_path: Path, embeddings: str | None) -> None:
    """The head of this model has weights of its own: rows of both change, and of those tokens alone.

    Where the embedding has an adapter, that is what learns them there.
    """
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.save_pretrained(tmp_path)
    job = job_of(llama, tmp_path, embeddings=embeddings)
    trained, load = adapted(job)
    rows = [p.detach().clone() for name, p in trained.named_parameters() if "trainable_tokens" in name]
    result, before = finished(trained, job, load), load()
    tables = [(of.get_input_embeddings().weight, of.get_output_embeddings().weight) for of in (result, before)]
    for learnt, made, own in zip(rows, *(table[bool(embeddings) :] for table in tables), strict=True):
        assert torch.equal(made[:258], own[:258])
        assert torch.equal(made[258:], learnt)


SHAPES = pytest.mark.parametrize(
    "write", [write_llama, write_gpt2, write_tiny_model], ids=["apart", "tied", "tied, ours"]
)


@SHAPES
def test_the_whole_embedding_is_trained_on_request(tmp_path: Path, write) -> None:
    """A copy of it, and of a head apart; a head that is the embedding is still that, and both teach it."""
    base = write(tmp_path / "own")
    job = job_of(base, base, embeddings="whole", quantised=None)
    trained, load = adapted(job)
    learnt = [p for name, p in trained.named_parameters() if "modules_to_save" in name]
    assert len(learnt) == (2 if write is write_llama else 1)
    gradient(trained)
    unread = sorted(set(range(200)) - set(IDS.flatten().tolist()))
    assert (learnt[0].grad[unread].abs().sum() > 0) == (write is not write_llama)
    said = logits(trained)
    result = finished(trained, job, load)
    tables = [result.get_input_embeddings().weight, result.get_output_embeddings().weight]
    assert all(torch.equal(table, table_learnt) for table, table_learnt in zip(tables, learnt * 2, strict=False))
    assert (tables[0] is tables[1]) == (write is not write_llama)
    assert torch.allclose(logits(result), said, atol=1e-4 * said.abs().max())
    result.save_pretrained(tmp_path / "saved")
    assert torch.equal(logits(load_model(str(tmp_path / "saved"), AutoTokenizer.from_pretrained(base))), logits(result))


@SHAPES
def test_a_trained_embedding_is_put_on_the_parent_too(tmp_path: Path, write) -> None:
    base = write(tmp_path / "own")
    job = job_of(base, base, embeddings="whole")
    trained, load = adapted(job)
    learnt = trained.get_input_embeddings().weight.detach().clone()
    result = finished(trained, job, load)
    tables = result.get_input_embeddings().weight, result.get_output_embeddings().weight
    assert torch.equal(tables[0], learnt)
    assert (tables[0] is tables[1]) == (write is not write_llama)


@SHAPES
def test_a_trained_embedding_comes_back_from_a_checkpoint(tmp_path: Path, write) -> None:
    base = write(tmp_path / "own")
    job = job_of(base, base, embeddings="whole")
    trained, _ = adapted(job)
    trained.save_pretrained(tmp_path / "checkpoint")
    again, _ = adapted(job)
    with torch.no_grad():
        for parameter in again.parameters():
            if parameter.requires_grad:
                parameter.zero_()
    again.load_adapter(str(tmp_path / "checkpoint"), "default", is_trainable=True)
    assert torch.equal(logits(again), logits(trained))


@pytest.mark.parametrize("targets", ["all-linear", ".*(q_proj|c_attn)", ["v_proj", "c_proj"]])
@SHAPES
def test_the_embedding_is_adapted_too_on_request(tmp_path: Path, write, targets: str | list[str]) -> None:
    """What is saved says what was trained, with a head of its own and with one that is the embedding."""
    base = write(tmp_path / "own")
    job = job_of(base, base, embeddings="adapter", quantised=None, target_modules=targets)
    trained, load = adapted(job)
    said = logits(trained)
    with trained.disable_adapter():
        assert torch.allclose(logits(trained), logits(load()), atol=1e-5)
    result = finished(trained, job, load)
    assert torch.allclose(logits(result), said, atol=1e-4 * said.abs().max())
    tables = result.get_input_embeddings().weight, result.get_output_embeddings().weight
    assert not torch.equal(tables[0], load().get_input_embeddings().weight)
    assert torch.equal(tables[1], load().get_output_embeddings().weight) == (write is write_llama)
    assert (tables[0] is tables[1]) == (write is not write_llama)


@pytest.mark.parametrize("write", [write_llama, write_gpt2], ids=["apart", "tied"])
def test_an_adapted_embedding_is_put_on_the_parent_too(tmp_path: Path, write) -> None:
    base = write(tmp_path / "own")
    job = job_of(base, base, embeddings="adapter")
    trained, load = adapted(job)
    table = trained.get_input_embeddings()
    change = table.get_delta_weight("default").detach().clone()
    result = finished(trained, job, load)
    assert torch.allclose(
        result.get_input_embeddings().weight, load().get_input_embeddings().weight + change, atol=1e-6
    )


@pytest.mark.parametrize("write", [write_llama, write_gpt2], ids=["apart", "tied"])
def test_the_head_teaches_the_embedding_that_it_is(tmp_path: Path, write) -> None:
    """The rows of tokens that are nowhere in the text: of them only a head that is the embedding says something."""
    base = write(tmp_path / "own")
    trained, _ = adapted(job_of(base, base, embeddings="adapter"))
    gradient(trained)
    unread = sorted(set(range(200)) - set(IDS.flatten().tolist()))
    learnt = trained.get_input_embeddings().lora_embedding_A["default"].grad[:, unread]
    assert (learnt.abs().sum() > 0) == (write is write_gpt2)


def test_what_is_trained_is_held_in_float32(llama: Path) -> None:
    model, _ = adapted(job_of(llama, llama))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.bfloat16()
    keep_precise(model)
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: LoraSection(dora=True, merge=False), "no engine serves an adapter of DoRA"),
        (lambda: LoraSection(dora=True, embeddings="adapter"), "DoRA adapts no embedding"),
        (lambda: LoraSection(embeddings="whole", merge=False), "no engine serves an adapter with an embedding"),
        (lambda: LoraSection(quantised="int3"), "nf4"),
        (
            lambda: RewardSection(budget="1K examples", sources=[{"name": "almanac"}], lora={"merge": False}),
            "a reward model is used whole",
        ),
        (
            lambda: RewardSection(budget="1K examples", sources=[{"name": "almanac"}], lora={"embeddings": "adapter"}),
            "only sft adapts the embedding",
        ),
        (
            lambda: RewardSection(budget="1K examples", sources=[{"name": "almanac"}], lora={"optimizer": "muon"}),
            "only sft trains adapters with muon",
        ),
    ],
)
def test_settings_that_exclude_each_other(made, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        made()
