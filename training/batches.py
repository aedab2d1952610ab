"""Packed rows as tensors: tokens, labels, positions, and who may attend to whom."""

import numpy as np
import torch

from training.prefix_packing import PREFIX

IGNORED = -100


def collate(rows: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """Tensors (batch, row) for a training step: `input_ids`, `labels`, `position_ids` and `segments`."""
    batch = np.stack(rows)
    tokens = batch["token"].astype(np.int64)
    segments = batch["segment"].astype(np.int64)
    return {
        "input_ids": torch.from_numpy(tokens),
        "labels": torch.from_numpy(np.where(batch["counted"], tokens, IGNORED)),
        "position_ids": torch.from_numpy(_positions(segments)),
        "segments": torch.from_numpy(segments),
    }


def _positions(segments: np.ndarray) -> np.ndarray:
    """Positions that start at 0 with the prefix and, after it, at its end with every document."""
    index = np.broadcast_to(np.arange(segments.shape[1]), segments.shape)
    begins = np.diff(segments, axis=1, prepend=-1) != 0
    start = np.maximum.accumulate(np.where(begins, index, 0), axis=1)
    prefix_length = (segments == PREFIX).sum(axis=1, keepdims=True)
    return index - start + np.where(segments == PREFIX, 0, prefix_length)


def document_mask(segments: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Additive attention mask (batch, 1, row, row): 0 where a token of `segments` (batch, row) sees another, else -inf.

    A token sees the earlier ones of its own document and those of the prefix.
    """
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    sees = ((query == key) | (key == PREFIX)) & earlier
    return torch.zeros(sees.shape, dtype=dtype, device=segments.device).masked_fill_(~sees, float("-inf"))[:, None]
