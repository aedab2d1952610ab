import json
import os
from pathlib import Path

import pytest

from serving.machine import Machine, available_bytes, engine_environment, engine_flags

GIB = 2**30


def machine(**changes: object) -> Machine:
    return Machine(**({"gpu": False, "bf16": True, "cores": 4, "memory_bytes": 16 * GIB} | changes))


def model_of(folder: Path, weight_bytes: int, **config: int) -> Path:
    """A folder whose weights have a size but take no room on disk."""
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(weight_bytes)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_cpu_computes_in_bf16_only_where_it_can(tiny_model: Path) -> None:
    assert engine_flags(machine(), tiny_model)[:2] == ["--dtype", "bfloat16"]
    assert engine_flags(machine(bf16=False), tiny_model)[:2] == ["--dtype", "float32"]
    assert engine_flags(machine(), tiny_model, "float32")[:2] == ["--dtype", "float32"]


def test_only_large_models_are_compiled_on_cpus(tmp_path: Path, tiny_model: Path) -> None:
    assert "--enforce-eager" in engine_flags(machine(), tiny_model)
    large = model_of(tmp_path, 3 * GIB)
    assert "--enforce-eager" not in engine_flags(machine(), large)
    assert "TORCHDYNAMO_DISABLE" not in engine_environment(machine(), large, tmp_path)


def test_prompts_are_not_cut_on_cpus(tiny_model: Path) -> None:
    assert "--no-enable-chunked-prefill" in engine_flags(machine(), tiny_model)
    assert "--no-enable-chunked-prefill" not in engine_flags(machine(gpu=True), tiny_model)


def test_gpus_get_no_cpu_settings(tiny_model: Path, tmp_path: Path) -> None:
    flags = engine_flags(machine(gpu=True), tiny_model)
    assert "--gpu-memory-utilization" in flags
    assert "--enforce-eager" not in flags
    assert not [name for name in engine_environment(machine(gpu=True), tiny_model, tmp_path) if "CPU" in name]


def test_nothing_is_cached_outside_home(tiny_model: Path, tmp_path: Path) -> None:
    variables = engine_environment(machine(), tiny_model, tmp_path)
    assert Path(variables["VLLM_CACHE_ROOT"]).is_relative_to(tmp_path)
    assert Path(variables["VLLM_CONFIG_ROOT"]).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("weights", "cores", "threads"), [(GIB // 100, 16, "1"), (GIB, 1, "1"), (GIB, 2, "2"), (GIB, 8, "7")]
)
def test_threads_leave_a_core_for_the_servers(tmp_path: Path, weights: int, cores: int, threads: str) -> None:
    variables = engine_environment(machine(cores=cores), model_of(tmp_path, weights), tmp_path)
    assert variables["OMP_NUM_THREADS"] == threads


@pytest.mark.parametrize(("context", "gib"), [(1024, "1"), (8192, "8"), (262_144, "4")])
def test_kv_cache_holds_eight_contexts_within_a_quarter_of_memory(tmp_path: Path, context: int, gib: str) -> None:
    # 2 (keys and values) * 2 bytes * 32 layers * 8 heads * 128 = 128 KiB a token: 1 GiB are 8,192 tokens.
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    folder = model_of(tmp_path, GIB, num_hidden_layers=32, max_position_embeddings=context, **heads)
    memory = 64 * GIB if context < 10_000 else 16 * GIB
    assert engine_environment(machine(memory_bytes=memory), folder, tmp_path)["VLLM_CPU_KVCACHE_SPACE"] == gib
    asked = engine_environment(machine(), folder, tmp_path, kv_cache_gib=3)
    assert asked["VLLM_CPU_KVCACHE_SPACE"] == "3"


def test_the_memory_of_a_container_ends_at_its_limit(tmp_path: Path) -> None:
    outside = available_bytes(tmp_path)
    assert 0 < outside <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 300\n")
    (tmp_path / "memory.max").write_text("1000\n")
    assert available_bytes(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path) > 600
