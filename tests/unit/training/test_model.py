import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from training import attention
from training.batches import IGNORED
from training.model import build_model, flops_per_token, parameter_count, skip_uncounted_logits
from training.recipe import ModelSection
from training.shape import parameters_of, shape_of


def test_depth_alone_sizes_the_model() -> None:
    assert shape_of(ModelSection(depth=4)) == {
        "num_hidden_layers": 4,
        "hidden_size": 128,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "intermediate_size": 384,
    }
    large = shape_of(ModelSection(depth=12))
    assert (large["hidden_size"], large["num_attention_heads"], large["num_key_value_heads"]) == (768, 12, 6)


def test_single_numbers_can_be_set() -> None:
    shape = shape_of(ModelSection(depth=3, hidden=160, head_dim=40, kv_heads=2, ffn=100))
    assert (shape["num_attention_heads"], shape["num_key_value_heads"], shape["intermediate_size"]) == (4, 2, 100)


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_the_estimate_of_the_size_is_near(depth: int) -> None:
    section = ModelSection(depth=depth)
    real = parameter_count(build_model(section, 512, 2, 0))
    assert parameters_of(shape_of(section), 512) == pytest.approx(real, rel=0.02)


def test_what_is_saved_is_a_plain_model(tmp_path) -> None:
    model = build_model(ModelSection(depth=1), 128, eos_token_id=2, pad_token_id=0)
    attention.register()
    model.set_attn_implementation("matmul")
    skip_uncounted_logits(model)
    model.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    assert "matmul" not in config
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.bos_token_id is None
    assert (again.generation_config.eos_token_id, again.generation_config.pad_token_id) == (2, 0)
    ids = torch.arange(4, 20)[None]
    torch.testing.assert_close(again(ids).logits, model(ids).logits, atol=1e-5, rtol=1e-5)


def test_matmul_attention_equals_sdpa_with_grouped_heads_and_left_padding() -> None:
    torch.manual_seed(0)
    model = build_model(ModelSection(depth=2, hidden=64, heads=4, kv_heads=2, head_dim=16), 128, 2, 0).eval()
    ids = torch.randint(4, 128, (3, 300))  # longer than two blocks
    mask = torch.ones_like(ids)
    mask[1, :7] = 0
    expected = model(ids, attention_mask=mask).logits
    attention.register()
    model.set_attn_implementation("matmul")
    found = model(ids, attention_mask=mask).logits
    seen = mask.bool()
    torch.testing.assert_close(found[seen], expected[seen], atol=1e-5, rtol=1e-5)
    greedy = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    generated = model.generate(ids, attention_mask=mask, **greedy)
    model.set_attn_implementation("sdpa")
    assert torch.equal(generated, model.generate(ids, attention_mask=mask, **greedy))


@pytest.mark.parametrize("counted", [0.0, 0.4, 1.0])
def test_the_loss_without_uncounted_logits_is_the_same(counted: float) -> None:
    torch.manual_seed(0)
    model = build_model(ModelSection(depth=1), 128, 2, 0)
    ids = torch.randint(4, 128, (4, 32))
    labels = torch.where(torch.rand(ids.shape) < counted, ids, IGNORED)
    expected = model(ids, labels=labels, num_items_in_batch=7).loss
    skip_uncounted_logits(model)
    found = model(input_ids=ids, labels=labels, num_items_in_batch=7).loss
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_without_labels_all_logits_are_there() -> None:
    model = build_model(ModelSection(depth=1), 128, 2, 0)
    ids = torch.randint(4, 128, (2, 8))
    expected = model(ids).logits
    skip_uncounted_logits(model)
    assert torch.equal(model(ids).logits, expected)


def test_heads_that_do_more_are_left_alone() -> None:
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    )
    model.config.model_type = "granite"
    before = model.forward
    skip_uncounted_logits(model)
    assert model.forward == before


def test_flops_count_the_tied_head_once() -> None:
    model = build_model(ModelSection(depth=4), 2048, 2, 0)
    matrices = 4 * (4 * 128 * 128 + 3 * 128 * 384) + 2048 * 128
    assert flops_per_token(model, 128) == 6 * matrices + 12 * 4 * 128 * 128
