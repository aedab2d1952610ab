"""Packed rows are, for the model, the documents alone."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from training import attention
from training.batches import IGNORED, collate, document_mask
from training.model import build_model, skip_uncounted_logits
from training.prefix_packing import PADDING, PREFIX, pack
from training.recipe import ModelSection
from training.rendering import Document

VOCABULARY = 97


def document(rng: random.Random, prefix: tuple[int, ...] = (), longest: int = 20) -> Document:
    ids = np.array([rng.randrange(4, VOCABULARY) for _ in range(rng.randint(2, longest))])
    counted = np.array([rng.random() < 0.5 for _ in ids])
    counted[0] = False
    return Document(prefix, ids, counted)


def unpacked(rows: np.ndarray) -> list[tuple]:
    """The documents in packed rows, as (prefix, ids, counted)."""
    found = []
    for row in rows:
        prefix = tuple(row["token"][row["segment"] == PREFIX].tolist())
        for segment in range(1, int(row["segment"][row["segment"] != PADDING].max()) + 1):
            part = row[row["segment"] == segment]
            found.append((prefix, tuple(part["token"].tolist()), tuple(part["counted"].tolist())))
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), number=st.integers(1, 120), row=st.sampled_from([32, 64, 128]))
def test_every_document_is_packed_once_and_whole(seed: int, number: int, row: int) -> None:
    rng = random.Random(seed)
    documents = [document(rng, rng.choice([(), (5, 6, 7), (5, 6, 8, 9)])) for _ in range(number)]
    rows = pack(documents, row, 0, rng)
    expected = [(d.prefix, tuple(d.ids.tolist()), tuple(d.counted.tolist())) for d in documents]
    assert sorted(unpacked(rows)) == sorted(expected)
    padding = rows["segment"] == PADDING
    assert not rows["counted"][padding].any()
    assert (rows["token"][padding] == 0).all()


def test_rows_are_nearly_full() -> None:
    rng = random.Random(0)
    rows = pack([document(rng, longest=60) for _ in range(1000)], 128, 0, rng)
    assert (rows["segment"] == PADDING).mean() < 0.02


def test_positions_go_on_from_the_end_of_the_prefix() -> None:
    ids = [np.array([9, 9, 9]), np.array([8, 8])]
    rows = pack([Document((5, 6), i, i > 100) for i in ids], 10, 0, random.Random(0))
    batch = collate(list(rows))
    assert batch["segments"].tolist() == [[0, 0, 1, 1, 1, 2, 2, PADDING, PADDING, PADDING]]
    assert batch["position_ids"][0, :7].tolist() == [0, 1, 2, 3, 4, 2, 3]
    assert (batch["labels"] == IGNORED).all()


def test_a_token_sees_its_document_and_the_prefix_and_nothing_later() -> None:
    segments = torch.tensor([[0, 1, 1, 2, PADDING]])
    sees = document_mask(segments, torch.float32)[0, 0] == 0
    assert sees.int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 0, 1],
    ]


@pytest.fixture(params=["matmul", "sdpa"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    section = ModelSection(depth=2, hidden=64, heads=4, kv_heads=2, head_dim=16)
    model = build_model(section, VOCABULARY, eos_token_id=2, pad_token_id=0)
    attention.register()
    model.set_attn_implementation(request.param)
    return model


def loss_alone(model: PreTrainedModel, document: Document) -> tuple[torch.Tensor, torch.Tensor]:
    """The logits of a document's own tokens and its summed loss, computed without packing."""
    ids = torch.tensor([[*document.prefix, *document.ids.tolist()]])
    logits = model(input_ids=ids, use_cache=False).logits[0]
    counted = torch.tensor([False] * len(document.prefix) + document.counted.tolist())
    targets = ids[0, 1:][counted[1:]]
    return logits[len(document.prefix) :], cross_entropy(logits[:-1][counted[1:]], targets, reduction="sum")


@pytest.mark.parametrize("prefix", [(), (11, 12, 13, 14, 15)], ids=["no prefix", "shared prefix"])
def test_logits_and_loss_equal_those_of_each_document_alone(model: PreTrainedModel, prefix: tuple[int, ...]) -> None:
    rng = random.Random(1)
    documents = [document(rng, prefix, longest=60) for _ in range(12)]
    rows = pack(documents, 160, 0, rng)
    batch = collate(list(rows))
    inputs = {
        "input_ids": batch["input_ids"],
        "position_ids": batch["position_ids"],
        "attention_mask": document_mask(batch["segments"], torch.float32),
        "use_cache": False,
    }
    with torch.no_grad():
        logits = model(**inputs).logits
        alone = {tuple(d.ids.tolist()): loss_alone(model, d) for d in documents}
        for row, scores in zip(rows, logits, strict=True):
            for segment in set(row["segment"].tolist()) - {PREFIX, PADDING}:
                place = torch.from_numpy(row["segment"] == segment)
                own = tuple(row["token"][place.numpy()].tolist())
                torch.testing.assert_close(scores[place], alone[own][0], atol=1e-5, rtol=1e-5)
        skip_uncounted_logits(model)
        packed = model(**inputs, labels=batch["labels"], num_items_in_batch=1).loss
    torch.testing.assert_close(packed, sum(loss for _, loss in alone.values()), atol=1e-4, rtol=1e-5)


def test_gradients_equal_those_of_the_documents_alone(model: PreTrainedModel) -> None:
    rng = random.Random(2)
    documents = [document(rng, (11, 12, 13)) for _ in range(6)]
    sum(loss_alone(model, d)[1] for d in documents).backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    batch = collate(list(pack(documents, 64, 0, rng)))
    skip_uncounted_logits(model)
    mask = document_mask(batch["segments"], torch.float32)
    model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=mask,
        labels=batch["labels"],
        num_items_in_batch=1,
    ).loss.backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-4, rtol=1e-3)
