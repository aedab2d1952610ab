"""The fairness regulariser: the same answer should be as likely, whomever the question is about."""

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy

from training.batches import IGNORED, collate, document_mask
from training.section import FairnessSection
from training.tokens import PackedRows


class Penalty:
    """What unlike likelihoods cost: weight x mean over pairs of (difference of the mean ln p of their tokens)^2.

    `rows` hold a pair each (`training.units.write_pairs`). Which pairs a step looks at depends on its number alone, so
    that an interrupted run goes on with those it would have seen.
    """

    def __init__(self, rows: PackedRows, section: FairnessSection) -> None:
        self.rows, self.section = rows, section

    def __call__(self, model: torch.nn.Module, step: int) -> torch.Tensor:
        rank, ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        first = (step * ranks + rank) * self.section.batch
        places = [place % len(self.rows) for place in range(first, first + self.section.batch)]
        one, other = mean_logprobs(model, [self.rows[place] for place in places])
        return self.section.weight * (one - other).square().mean()


def mean_logprobs(model: torch.nn.Module, rows: list) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean ln p of the counted tokens of the first and of the second document of each row, both (rows,)."""
    device = next(model.parameters()).device
    batch = {name: tensor.to(device) for name, tensor in collate(rows).items()}
    longest = int((batch["segments"] <= 2).sum(1).max())
    batch = {name: tensor[:, :longest] for name, tensor in batch.items()}
    dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32
    logits = model(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=document_mask(batch["segments"], dtype),
        use_cache=False,
    ).logits
    targets = batch["labels"][:, 1:]
    nats = cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    nats = nats.view_as(targets)
    sides = ((batch["segments"][:, 1:] == side) & (targets != IGNORED) for side in (1, 2))
    one, other = (-(nats * side).sum(1) / side.sum(1).clamp(min=1) for side in sides)
    return one, other
