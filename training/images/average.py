"""An exponential moving average (EMA) of a model's weights, which is what samples are drawn with."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "average.safetensors"


class Average:
    """The average over the steps so far; in the first ones it follows closely, later it keeps `keep` of itself."""

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.names, self.live = zip(*model.named_parameters(), strict=True)
        self.kept = [parameter.detach().clone() for parameter in self.live]
        self.keep = keep

    def follow(self) -> None:
        """Be where the model is now: it may have been moved to a GPU."""
        self.kept = [kept.to(live.device) for kept, live in zip(self.kept, self.live, strict=True)]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps."""
        torch._foreach_lerp_(self.kept, list(self.live), 1 - min(self.keep, (1 + step) / (10 + step)))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """While the block runs, the model has the average as its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def save(self, folder: Path) -> None:
        save_file(dict(zip(self.names, self.kept, strict=True)), folder / FILE)

    def load(self, folder: Path) -> None:
        saved = load_file(folder / FILE)
        for name, kept in zip(self.names, self.kept, strict=True):
            kept.copy_(saved[name])

    @torch.no_grad()
    def _swap(self) -> None:
        for live, kept in zip(self.live, self.kept, strict=True):
            held = live.clone()
            live.copy_(kept)
            kept.copy_(held)
