"""Muon for the matrices of the blocks, AdamW for the rest, as one optimizer; and the learning-rate schedule."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from training.section import OptimizedSection

Polynomial = tuple[float, float, float]
"""Coefficients of x, x^3 and x^5 in one Newton-Schulz step."""

JORDAN: tuple[Polynomial, ...] = 5 * ((3.4445, -4.775, 2.0315),)
# Three steps that come about as near as JORDAN's five (Amsel et al. 2025, "The Polar Express", arXiv:2505.16932).
POLAR_EXPRESS: tuple[Polynomial, ...] = (
    (8.2051, -22.9019, 16.4607),
    (4.0664, -2.8612, 0.5184),
    (3.9096, -2.8234, 0.5250),
)


class StackedMuon(torch.optim.Muon):
    """`torch.optim.Muon(adjust_lr_fn="match_rms_adamw")`, with the matrices of one shape orthogonalised together.

    The same updates, bit for bit on CPUs, in a quarter less time: a small model has many small matrices. They are
    scaled to the size of AdamW's, so that one learning rate fits both.
    """

    def __init__(self, matrices: list[nn.Parameter], polynomials: Sequence[Polynomial] = JORDAN, **options) -> None:
        super().__init__(matrices, **options)
        self.polynomials = polynomials

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> None:
        for group in self.param_groups:
            parameters, gradients, momenta = [], [], []
            self._init_group(group, parameters, gradients, momenta)
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, momenta, group["momentum"])
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            for stack in _alike(parameters):
                directions = orthogonalised(torch.stack([_wide(updates[i]) for i in stack]), self.polynomials)
                for i, direction in zip(stack, directions, strict=True):
                    size = 0.2 * math.sqrt(max(direction.shape)) * group["lr"]
                    parameter = parameters[i]
                    parameter.add_(direction if parameter.shape == direction.shape else direction.T, alpha=-size)


def orthogonalised(matrices: torch.Tensor, polynomials: Sequence[Polynomial]) -> torch.Tensor:
    """The nearest half-orthogonal matrix of each of `matrices` (n, rows, columns >= rows), by Newton-Schulz in bf16."""
    x = matrices.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for a, b, c in polynomials:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _wide(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def _alike(matrices: list[torch.Tensor]) -> list[list[int]]:
    """The places of matrices that have the same shape, lying or standing."""
    stacks: dict[tuple[int, int], list[int]] = {}
    for place, matrix in enumerate(matrices):
        stacks.setdefault((min(matrix.shape), max(matrix.shape)), []).append(place)
    return list(stacks.values())


class MuonAdamW(torch.optim.Optimizer):
    """Muon and fused `torch.optim.AdamW` behind one interface.

    The parameter groups are those of the two, shared and not copied, so a schedule written into them reaches both.
    """

    def __init__(
        self,
        matrices: list[nn.Parameter],
        others: list[nn.Parameter],
        learning_rate: float,
        other_learning_rate: float,
        weight_decay: float,
        polynomials: Sequence[Polynomial] = JORDAN,
    ) -> None:
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(StackedMuon(matrices, polynomials, lr=learning_rate, weight_decay=weight_decay))
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


def build_optimizer(
    model: nn.Module, section: OptimizedSection, polynomials: Sequence[Polynomial] = JORDAN
) -> MuonAdamW:
    """The optimizer of a model's trainable parameters. Adapters get AdamW unless `lora.optimizer` is muon."""
    lora = getattr(section, "lora", None)
    adapted = lora is not None and lora.optimizer == "muon"
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.dim() == 2 and _is_inside(name, adapted)
            (matrices if is_matrix else others).append(parameter)
    rates = section.learning_rate, section.embedding_learning_rate, section.weight_decay
    return MuonAdamW(matrices, others, *rates, polynomials)


def _is_inside(name: str, adapted: bool) -> bool:
    """Whether a parameter is a block's own, or with `adapted` of an adapter, but not the embedding's."""
    if "lora_" in name:
        return adapted and "lora_embedding" not in name
    return "layers." in name


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
