"""Prompts that are read once give the same answers and the same likelihoods as prompts that are read every time."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.alignment.shared_prompts import after_shared_beginning, answer, log_probabilities

LONGEST = 12


@pytest.fixture(scope="module")
def model(tiny_model: Path):
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path):
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def prompts(tokenizer) -> list[list[int]]:
    return tokenizer(["Say 1.", "Tell me something about apples.", "Say 1.", "Hello!"])["input_ids"]


def test_greedy_answers_are_those_of_generate(model, prompts) -> None:
    end = model.generate(torch.tensor([prompts[0]]), max_new_tokens=5, do_sample=False)[
        0, -1
    ].item()  # so that one ends
    answers = answer(model, prompts, LONGEST, end, 0)
    for prompt, found in zip(prompts, answers, strict=True):
        output = model.generate(torch.tensor([prompt]), max_new_tokens=LONGEST, do_sample=False, eos_token_id=end)
        assert found == output[0, len(prompt) :].tolist()
    assert len(answers[0]) <= 5
    assert answers[0] == answers[2]


def test_answers_are_drawn_with_their_probabilities(model, prompts) -> None:
    torch.manual_seed(0)
    count = 4000
    drawn = answer(model, [prompts[0]] * count, 1, -1, 0, temperature=0.5)
    logits = model(torch.tensor([prompts[0]])).logits[0, -1]
    expected = torch.softmax(logits / 0.5, dim=-1)
    found = torch.bincount(torch.tensor(drawn)[:, 0], minlength=len(expected)) / count
    likely = expected.topk(5).indices
    assert torch.allclose(found[likely], expected[likely], atol=4 * (0.25 / count) ** 0.5)


def test_likelihoods_entropies_and_gradients_are_those_of_whole_sequences(model, prompts) -> None:
    answers = torch.tensor([[5, 6, 7], [8, 9, 0], [10, 11, 12], [13, 0, 0]])
    width = max(map(len, prompts))
    ids = torch.cat([torch.tensor([[0] * (width - len(p)) + p for p in prompts]), answers], dim=1)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    mask = torch.cat([mask, (answers != 0).long()], dim=1)
    counted, weight = mask[:, width:], model.model.layers[0].self_attn.q_proj.weight

    found, entropies = log_probabilities(model, ids, mask, 3, temperature=0.7)
    gradient = torch.autograd.grad((found * counted).sum(), weight)[0]

    scores = (model(input_ids=ids, attention_mask=mask).logits[:, width - 1 : -1] / 0.7).log_softmax(-1)
    whole = scores.gather(-1, answers[..., None])[..., 0]
    expected = torch.autograd.grad((whole * counted).sum(), weight)[0]
    assert torch.allclose(found * counted, whole * counted, atol=1e-5)
    assert torch.allclose(
        entropies * counted, torch.distributions.Categorical(logits=scores).entropy() * counted, atol=1e-5
    )
    assert torch.allclose(gradient, expected, atol=1e-5)


def test_rows_behind_a_shared_beginning_are_what_they_are_alone(model) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 10, 0], [5, 6, 11, 12, 13]])
    mask = (ids != 0).long()
    behind = after_shared_beginning(model, ids, mask).logits
    assert behind.shape[1] == 3
    assert torch.allclose(behind * mask[:, 2:, None], model(ids, mask).logits[:, 2:] * mask[:, 2:, None], atol=1e-5)


@pytest.mark.parametrize("ids", [[[5, 6, 7], [8, 6, 7]], [[5, 6, 7], [5, 6, 7]]])
def test_rows_that_share_nothing_or_everything(model, ids) -> None:
    ids = torch.tensor(ids)
    mask = torch.ones_like(ids)
    assert torch.allclose(
        after_shared_beginning(model, ids, mask).logits[:, -1], model(ids, mask).logits[:, -1], atol=1e-5
    )
