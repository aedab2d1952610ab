"""Muon for the matrices of the blocks, AdamW for the rest, as one optimizer; and the learning-rate schedule."""

from collections.abc import Callable

import torch
from torch import nn

from training.recipe import TrainingSection


class MuonAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` and fused `torch.optim.AdamW` behind one interface.

    The parameter groups are those of the two, shared and not copied, so a schedule written into them reaches both.
    Muon's update is scaled to AdamW's size (`match_rms_adamw`), so that one learning rate fits both.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        learning_rate: float,
        other_learning_rate: float,
        weight_decay: float,
    ) -> None:
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if others:
            self.parts.append(
                torch.optim.AdamW(others, lr=other_learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
            )
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def build_optimizer(model: nn.Module, section: TrainingSection) -> MuonAdamW:
    """The optimizer of a model's trainable parameters. Adapters (LoRA) are trained with AdamW alone."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.dim() == 2 and "layers." in name and "lora_" not in name
            (matrices if is_matrix else others).append(parameter)
    return MuonAdamW(matrices, others, section.learning_rate, section.embedding_learning_rate, section.weight_decay)


def warmup_stable_decay(steps: int, warmup: int, decay: float) -> Callable[[int], float]:
    """The factor on the learning rates at each step (from 0): linear rise, constant, linear fall over the last share.

    The fall ends just above 0 at the last step. A warm-up longer than a tenth of the steps is cut to that.
    """
    warmup = min(warmup, steps // 10)
    falling = decay * steps

    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / (warmup + 1))
        fall = min(1.0, (steps - step) / falling) if falling else 1.0
        return min(rise, fall)

    return factor
