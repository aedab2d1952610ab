"""Prompts that are read once give the same answers and the same likelihoods as prompts that are read every time."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BloomConfig,
    GPT2Config,
)
from trl.trainer.utils import add_fused_lm_head

from training.alignment import shared_prompts
from training.alignment.offline import OfflineLearner
from training.alignment.shared_prompts import answer, log_probabilities, rewards_behind_beginning

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


def test_prompts_that_begin_alike_are_read_as_alone(model) -> None:
    """Padding then lies between the shared beginning and the rest of a prompt."""
    prompts = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 7, 8], [5, 6, 7]]
    for prompt, found in zip(prompts, answer(model, prompts, LONGEST, -1, 0), strict=True):
        assert found == answer(model, [prompt], LONGEST, -1, 0)[0]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p + [9, 8] for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * (len(p) + 2) for p in prompts])
    found, _ = log_probabilities(model, ids, mask, 2, temperature=1.0)
    for row, prompt in enumerate(prompts):
        whole = model(torch.tensor([[*prompt, 9, 8]])).logits[0, -3:-1].log_softmax(-1)
        assert torch.allclose(found[row], whole[[0, 1], [9, 8]], atol=1e-5)


def test_absolute_positions_and_models_that_take_none() -> None:
    """GPT-2 adds positions to its tokens, so padding must not count; BLOOM is given none and shares no beginning."""
    prompts = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 7, 8]]
    for config in (
        GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=32),
        BloomConfig(vocab_size=32, hidden_size=16, n_layer=2, n_head=2),
    ):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():  # new weights are too much alike for anything to depend on positions
            torch.nn.init.normal_(parameter, std=0.3)
        for prompt, found in zip(prompts, answer(model, prompts, LONGEST, -1, 0), strict=True):
            output = model.generate(torch.tensor([prompt]), max_new_tokens=LONGEST, do_sample=False, eos_token_id=None)
            assert found == output[0, len(prompt) :].tolist()


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path):
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1).eval()
    model.config.pad_token_id = 0
    return model


@pytest.mark.parametrize(
    "rows",
    [
        [[5, 6, 7, 8, 9], [5, 6, 7, 10], [5, 6, 11, 12, 13], [5, 6, 7]],
        [[5, 6, 7], [8, 6, 7, 9]],
        [[5, 6, 7], [5, 6, 7]],
        [[5], [5]],
    ],
)
def test_rewards_are_what_they_are_of_each_row_alone(reward_model, monkeypatch: pytest.MonkeyPatch, rows) -> None:
    monkeypatch.setattr(shared_prompts, "AT_ONCE", 2)
    width, weight = max(map(len, rows)), reward_model.model.layers[0].self_attn.q_proj.weight
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    found = rewards_behind_beginning(reward_model, ids, (ids != 0).long())
    alone = torch.cat([reward_model(torch.tensor([row])).logits for row in rows])
    assert torch.allclose(found, alone, atol=1e-5)
    gradients = [torch.autograd.grad((of**2).sum(), weight)[0] for of in (found, alone)]
    assert torch.allclose(*gradients, atol=1e-5)


class Summed:
    """A trainer whose loss is the sum of all log-probabilities of answers, as TRL's models tell them."""

    def _compute_loss(self, model, inputs, return_outputs):
        loss = 0.0
        for name in (name for name in inputs if name.endswith("input_ids")):
            mask = inputs[name.replace("input_ids", "completion_mask")]
            labels = inputs[name].masked_fill(mask == 0, -100)
            attended = inputs[name.replace("input_ids", "attention_mask")]
            read = {"input_ids": inputs[name], "attention_mask": attended, "labels": labels, "use_cache": False}
            loss = loss + model(**read, fused_lm_head=True).log_probs.sum()
        self.read = inputs["input_ids"].shape[1]
        return loss


class SummedOffline(OfflineLearner, Summed):
    def __init__(self, model) -> None:
        self.model, self.ref_model, self.job = model, None, SimpleNamespace(layout=SimpleNamespace(device="cpu"))


def preferences(*rows: tuple[list[int], list[int]], name: str = "") -> dict[str, torch.Tensor]:
    """Prompts and answers as TRL's collators write them."""
    width = max(len(prompt) + len(said) for prompt, said in rows)

    def padded(part) -> torch.Tensor:
        return torch.tensor([part(*row) + [0] * (width - len(row[0]) - len(row[1])) for row in rows])

    return {
        f"{name}input_ids": padded(lambda prompt, said: prompt + said),
        f"{name}attention_mask": padded(lambda prompt, said: [1] * (len(prompt) + len(said))),
        f"{name}completion_mask": padded(lambda prompt, said: [0] * len(prompt) + [1] * len(said)),
    }


ALIKE = preferences(([5, 6, 7, 8], [9, 10]), ([5, 6, 7], [8, 9, 11]), ([5, 6, 7, 12], [13]))


@pytest.mark.parametrize(
    ("inputs", "shared"),
    [
        (ALIKE, 2),
        (ALIKE | preferences(([5, 6, 9], [1]), ([5, 6, 7], [8]), name="KL_"), 2),
        (ALIKE | preferences(([5, 9, 9], [1]), ([5, 6, 7], [8]), name="KL_"), 1),
        (preferences(([5, 6], [7]), ([6, 6], [7])), 0),
        (preferences(([5, 6], [7]), ([5, 6], [7])), 1),
    ],
)
def test_losses_behind_a_shared_beginning_are_those_of_whole_examples(tiny_model: Path, inputs, shared: int) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    add_fused_lm_head(model)
    weight, learner = model.model.layers[0].self_attn.q_proj.weight, SummedOffline(model)
    found = learner._compute_loss(model, inputs, return_outputs=False)
    assert learner.read == inputs["input_ids"].shape[1] - shared
    expected = Summed._compute_loss(learner, model, inputs, return_outputs=False)
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(*(torch.autograd.grad(loss, weight)[0] for loss in (found, expected)), atol=1e-4)
