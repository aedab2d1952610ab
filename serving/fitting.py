"""Which sizes of models fit into a memory: weights, the packages around them, and one conversation's KV cache."""

from dataclasses import dataclass

GIB = 2**30
BYTES_PER_PARAMETER = {"4 bits": 0.56, "bfloat16": 2.0, "float32": 4.0}
# What vLLM's processes take besides the weights, as measured.
OVERHEAD_BYTES = 2 * GIB
CONTEXT_TOKENS = 8192
USABLE = 0.85


@dataclass(frozen=True)
class Size:
    """A usual size. The KV cache is that of the Qwen3 model of this size, the largest one's of Llama 3, in bfloat16."""

    name: str
    parameters: float
    kv_bytes_per_token: int


SIZES = (
    Size("0.6B", 0.6e9, 114_688),
    Size("1.7B", 1.7e9, 114_688),
    Size("4B", 4.0e9, 147_456),
    Size("8B", 8.2e9, 147_456),
    Size("14B", 14.8e9, 163_840),
    Size("32B", 32.8e9, 262_144),
    Size("70B", 70.6e9, 327_680),
)


@dataclass(frozen=True)
class Fit:
    """Whether a model of one size in one precision fits, and how much it needs."""

    size: str
    dtype: str
    needed_gib: float
    fits: bool


def what_fits(memory_bytes: int) -> list[Fit]:
    """Every usual size in every precision against a memory."""
    fits = []
    for size in SIZES:
        for dtype, width in BYTES_PER_PARAMETER.items():
            cache = size.kv_bytes_per_token * CONTEXT_TOKENS * (2 if dtype == "float32" else 1)
            needed = size.parameters * width + OVERHEAD_BYTES + cache
            fits.append(Fit(size.name, dtype, round(needed / GIB, 1), needed <= USABLE * memory_bytes))
    return fits
