"""Where and in which numbers an image model is computed on this machine, decided before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serving.errors import UserError
from serving.machine import cpu_has_bf16

GIB = 2**30
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
# What drawing takes beside the weights: the intermediate results of some pictures, and the packages themselves.
OVERHEAD_BYTES = GIB
GPU_OVERHEAD_BYTES = 3 * GIB
# Up to this size float32 costs little anywhere.
SMALL_PARAMETERS = 50_000_000

Dtype = Literal["bfloat16", "float16", "float32"]


class NoRoomError(UserError):
    """The model needs more memory than there is."""

    exit_code = 4


@dataclass(frozen=True)
class ImageMachine:
    """Free memory in bytes; `gpu_bytes` is 0 without a GPU. `bf16`: what computes knows bfloat16."""

    ram_bytes: int
    gpu_bytes: int
    bf16: bool

    @classmethod
    def here(cls) -> "ImageMachine":
        """The machine this process runs on. Imports torch."""
        import torch

        ram = _available_bytes()
        if torch.cuda.is_available():
            return cls(ram, torch.cuda.mem_get_info()[0], torch.cuda.is_bf16_supported(including_emulation=False))
        return cls(ram, 0, cpu_has_bf16())


@dataclass(frozen=True)
class Placement:
    """`offload`: "parts" brings one part at a time to the GPU, "layers" one layer, which is slow."""

    device: Literal["cuda", "cpu"]
    dtype: Dtype
    offload: Literal["none", "parts", "layers"] = "none"

    def __str__(self) -> str:
        where = "the GPU" if self.device == "cuda" else "the CPU"
        kept = {"none": "", "parts": ", one part at a time", "layers": ", one layer at a time"}
        return f"in {self.dtype} on {where}{kept[self.offload]}"


def place(parameters: dict[str, int], machine: ImageMachine, dtype: Dtype | None = None) -> Placement:
    """The fastest placement that fits; `parameters` counts those of each part.

    Raises `NoRoomError`, which says how much is needed.
    """
    total = sum(parameters.values())
    chosen = dtype or _best_dtype(machine, total)
    weights, largest = total * BYTES[chosen], max(parameters.values(), default=0) * BYTES[chosen]
    in_ram = weights + OVERHEAD_BYTES <= machine.ram_bytes
    if not machine.gpu_bytes:
        if in_ram:
            return Placement("cpu", chosen)
    elif weights + GPU_OVERHEAD_BYTES <= machine.gpu_bytes:
        return Placement("cuda", chosen)
    elif in_ram:
        return Placement("cuda", chosen, "parts" if largest + GPU_OVERHEAD_BYTES <= machine.gpu_bytes else "layers")
    raise NoRoomError(
        f"The image model needs about {_gib(weights + OVERHEAD_BYTES)} of memory in {chosen}, and "
        f"{_gib(machine.ram_bytes)} are free: choose a smaller one with --image-model, or free some."
    )


def _best_dtype(machine: ImageMachine, parameters: int) -> Dtype:
    if parameters <= SMALL_PARAMETERS:
        return "float32"
    if machine.bf16:
        return "bfloat16"
    return "float16" if machine.gpu_bytes else "float32"  # CPUs compute float16 slowly or not at all


def _available_bytes() -> int:
    """What programs can still get: unlike free memory it counts what the kernel's caches would give back."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 2**10


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
