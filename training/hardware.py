"""What the machine can do: bf16, and its peak."""

import torch

from training.launch import Layout

# Dense bf16 peaks from the makers' data sheets.
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12, "B200": 2.25e15}


def autocasts(device: str) -> bool:
    """Whether matrix products run in bf16: on GPUs, and on CPUs with instructions for it."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def peak_flops(layout: Layout) -> float | None:
    """Floating-point operations a second of all GPUs together; None where it is not known, as for every CPU."""
    if layout.device != "cuda":
        return None
    name = torch.cuda.get_device_name(0)
    peak = next((peak for key, peak in PEAK_FLOPS.items() if key in name), None)
    return peak * layout.processes if peak else None
