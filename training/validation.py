"""Bits per byte on held-out documents: a loss that compares across tokenizers, on the same text."""

import math
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from training.batches import IGNORED, collate, document_mask
from training.tokens import PackedRows


def token_bytes(tokenizer: Tokenizer) -> torch.Tensor:
    """How many bytes of text each token of a byte-level tokenizer stands for; added tokens stand for none."""
    sizes = torch.zeros(tokenizer.get_vocab_size(), dtype=torch.long)
    added = tokenizer.get_added_tokens_decoder()
    for token, number in tokenizer.get_vocab().items():
        if number not in added:
            sizes[number] = len(token)
    return sizes


@torch.no_grad()
def bits_per_byte(model: PreTrainedModel, rows: PackedRows, tokenizer: Path, batch: int, autocast: bool) -> float:
    """Mean over all counted tokens that stand for text. Every rank takes its part of `rows`; all return the whole."""
    sizes = token_bytes(Tokenizer.from_file(str(tokenizer / "tokenizer.json"))).to(model.device)
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    mine = range(rank, len(rows), world)
    sums = torch.zeros(2, dtype=torch.float64, device=model.device)
    model.eval()
    for start in range(0, len(mine), batch):
        sums += _nats_and_bytes(model, [rows[number] for number in mine[start : start + batch]], sizes, autocast)
    if dist.is_initialized():
        dist.all_reduce(sums)
    return float(sums[0] / math.log(2) / sums[1].clamp(min=1))


def _nats_and_bytes(model: PreTrainedModel, rows: list, sizes: torch.Tensor, autocast: bool) -> torch.Tensor:
    inputs = {name: tensor.to(model.device) for name, tensor in collate(rows).items()}
    mask = document_mask(inputs["segments"], torch.bfloat16 if autocast else model.dtype)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=autocast):
        logits = model(
            input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], attention_mask=mask, use_cache=False
        ).logits
    targets = inputs["labels"][:, 1:].clone()
    lengths = sizes[targets.clamp(min=0)] * (targets != IGNORED)
    targets[lengths == 0] = IGNORED
    nats = cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return torch.stack([nats.double(), lengths.sum().double()])
