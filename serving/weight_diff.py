"""How far the weights of one model are from those of another, tensor by tensor and by groups of layers."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from serving.model_list import weights_in

BLOCK = re.compile(r"\b(?:layers?|blocks|transformer_blocks|h)\.(\d+)\b")
PARTS = (("norm", "norms"), ("attn", "attention"), ("mlp", "mlp"), ("ffn", "mlp"), ("ff", "mlp"))
BANDS = 12
"""At most so many rows of layers."""


@dataclass(frozen=True)
class TensorChange:
    """A tensor of both models. `moved` and `size` are the squared norms of the difference and of A's."""

    name: str
    moved: float
    size: float

    @property
    def relative(self) -> float:
        """The norm of the difference over the norm of A: 0 where nothing moved, infinite where A is zero."""
        return relative_change([self])


@dataclass(frozen=True)
class WeightDiff:
    """`changes`: of the tensors that can be compared. The others are in one model only, or in both in two shapes, or
    `coded`, which are not floating-point numbers but what a quantisation made of them.
    """

    changes: list[TensorChange]
    only_a: list[str]
    only_b: list[str]
    reshaped: list[str]
    coded: list[str]

    def largest(self, count: int) -> list[TensorChange]:
        """The tensors that moved most, for their size; NaN first."""
        return sorted(self.changes, key=lambda change: (not math.isnan(change.relative), -change.relative))[:count]

    def table(self) -> dict[str, dict[str, float]]:
        """The relative change by rows, bands of layers and what is no layer, and columns, the parts of a layer."""
        layers = [int(block[1]) for change in self.changes if (block := BLOCK.search(change.name))]
        band = -(-(max(layers) + 1) // BANDS) if layers else 1
        cells: dict[tuple[str, str], list[TensorChange]] = defaultdict(list)
        for change in self.changes:
            cells[_row(change.name, band), _column(change.name)].append(change)
        rows: dict[str, dict[str, float]] = defaultdict(dict)
        for (row, column), changes in cells.items():
            rows[row][column] = relative_change(changes)
        return {row: rows[row] for row in sorted(rows, key=_order)}


def relative_change(changes: Iterable[TensorChange]) -> float:
    """||B - A|| / ||A|| (Frobenius) over several tensors taken together; NaN where either holds one."""
    changes = list(changes)
    moved, size = sum(change.moved for change in changes), sum(change.size for change in changes)
    if moved == 0:
        return 0.0
    return math.sqrt(moved / size) if size else math.inf


def weight_diff(a: Path, b: Path) -> WeightDiff:
    """Compare the safetensors files of two folders; one tensor of each is in memory at a time."""
    changes, reshaped, coded = [], [], []
    with ExitStack() as opened:
        ours, theirs = dict(_tensors(a, opened)), dict(_tensors(b, opened))
        for name in (name for name in ours if name in theirs):
            first, second = (side[name].get_tensor(name.rpartition(":")[2]) for side in (ours, theirs))
            if first.shape != second.shape:
                reshaped.append(name)
            elif not (first.is_floating_point() and second.is_floating_point()):
                coded.append(name)
            else:
                moved, size = second.double() - first.double(), first.double()
                changes.append(TensorChange(name, moved.square().sum().item(), size.square().sum().item()))
    return WeightDiff(changes, sorted(ours.keys() - theirs), sorted(theirs.keys() - ours), reshaped, coded)


def _tensors(folder: Path, opened: ExitStack) -> Iterator[tuple[str, object]]:
    """Every tensor's name, after that of its part of an image model and a colon, and the open file that it is in."""
    from safetensors import safe_open

    for file in weights_in(folder):
        part = file.parent.relative_to(folder).as_posix()
        tensors = opened.enter_context(safe_open(file, framework="pt"))
        for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
            yield (name if part == "." else f"{part}:{name}"), tensors


def _row(name: str, band: int) -> str:
    block = BLOCK.search(name)
    if block is None:
        return "embedding" if "embed" in name else name.partition(":")[0].removesuffix(".weight")
    first = int(block[1]) // band * band
    where = name[: block.start()].partition(":")
    prefix = f"{where[0]} " if where[1] else ""
    return f"{prefix}layer {first}" if band == 1 else f"{prefix}layers {first} to {first + band - 1}"


def _order(row: str) -> tuple[int, str, int]:
    """As a text passes through them: the embedding, the layers, what comes after them."""
    if row == "embedding":
        return 0, "", 0
    where, layer, numbers = row.partition("layer")
    return (1, where, int(re.search(r"\d+", numbers)[0])) if layer else (2, row, 0)


def _column(name: str) -> str:
    return next((column for mark, column in PARTS if mark in name), "weights")
