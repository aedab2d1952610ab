"""LoRA adapters: folders that PEFT saved under home()/adapters or a training stage left under home()/models.

They are served beside the model that they were trained on, under their own names.
"""

from pathlib import Path

from serving.home import home
from serving.model_folder import (
    ModelFolderError,
    folder_digest,
    is_adapter,
    read_lineage,
    read_object,
    tensor_shapes,
    weight_files,
)

# What vLLM takes for --max-lora-rank, and how many adapters one batch may use.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
MAX_AT_ONCE = 8
PREFIX = "base_model.model."
"""What PEFT puts before the names of the modules that it adapts."""


def adapters_of(folder: Path, model_name: str) -> dict[str, Path]:
    """Name and folder of every adapter that was trained on the model in `folder`.

    Raises `ModelFolderError` for one that cannot be served.
    """
    found = sorted(path for place in ("adapters", "models") for path in (home() / place).glob("*") if is_adapter(path))
    own = [path for path in found if _is_of(path, folder, model_name)]
    for path in own:
        if path.name == model_name:
            raise ModelFolderError(f"The adapter {path} is called like its model: rename its folder.")
        check_adapter(path, folder)
    named = {path.name: path for path in own}
    if twice := [path for path in own if named[path.name] != path]:
        raise ModelFolderError(f"The adapters {twice[0]} and {named[twice[0].name]} have one name: rename a folder.")
    return named


def check_adapter(path: Path, base: Path) -> None:
    """Whether the adapter in `path` can be served beside the model in `base`.

    Reads the headers of both, and all of the model where the adapter says which state of it was its parent. Raises
    `ModelFolderError` with the first thing that is wrong.
    """
    rank = _rank(path)
    for key, what in (("use_dora", "directions apart (DoRA)"), ("modules_to_save", "whole layers")):
        if _settings(path).get(key):
            raise ModelFolderError(
                f"The adapter {path} has {what}, which vLLM does not serve: merge it into its model "
                "(a recipe does unless it says merge: false), or move it elsewhere."
            )
    _check_parent(path, base)
    _check_shapes(path, base, rank)


def adapter_flags(adapters: dict[str, Path]) -> list[str]:
    """vLLM's flags that serve these adapters; none without any. Raises `ModelFolderError` when a rank is too large."""
    if not adapters:
        return []
    largest = max(map(_rank, adapters.values()))
    return [
        *("--enable-lora", "--max-lora-rank", str(next(known for known in RANKS if largest <= known))),
        *("--max-loras", str(min(len(adapters), MAX_AT_ONCE))),
        *("--lora-modules", *(f"{name}={path}" for name, path in adapters.items())),
    ]


def _settings(adapter: Path) -> dict:
    return read_object(adapter / "adapter_config.json", "")


def _is_of(adapter: Path, folder: Path, model_name: str) -> bool:
    base = str(_settings(adapter).get("base_model_name_or_path"))
    if base in {model_name, str(folder)} or Path(base).resolve() == folder.resolve():
        return True
    # One that was grown here stays its model's when both are moved to another home.
    return (adapter / "lineage.json").is_file() and read_lineage(adapter).parent == folder.resolve().name


def _rank(adapter: Path) -> int:
    """The largest rank of its matrices."""
    settings = _settings(adapter)
    ranks = [settings.get("r"), *(settings.get("rank_pattern") or {}).values()]
    if wrong := [rank for rank in ranks if not isinstance(rank, int) or not 1 <= rank <= RANKS[-1]]:
        raise ModelFolderError(
            f"The adapter {adapter} has the rank {wrong[0]}, and vLLM serves 1 to {RANKS[-1]}: "
            "train it with another, or move it elsewhere."
        )
    return max(ranks)


def _check_parent(adapter: Path, base: Path) -> None:
    """Compare the model with the one that the adapter was trained on, where its lineage says which that was."""
    if not (adapter / "lineage.json").is_file():
        return
    parent = read_lineage(adapter).parent_sha256
    if parent and parent != folder_digest(base):
        raise ModelFolderError(
            f"The adapter {adapter} was trained on another model than is now in {base}: "
            "train it again on this one, or move it elsewhere."
        )


def _check_shapes(adapter: Path, base: Path, rank: int) -> None:
    """Hold the matrices of the adapter against the rank in its settings, and against those of the model."""
    known = {name: shape for file in weight_files(base) for name, shape in tensor_shapes(file).items()}
    has_one_rank = not _settings(adapter).get("rank_pattern")
    for name, shape in tensor_shapes(_weights(adapter)).items():
        module, _, side = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".lora_")
        if side not in ("A", "B"):
            continue
        own_rank, width = shape if side == "A" else reversed(shape)
        if has_one_rank and own_rank != rank:
            raise ModelFolderError(
                f"The adapter {adapter} says rank {rank} and has matrices of rank {own_rank}: "
                "take its settings and its weights from the same training, or move it elsewhere."
            )
        if width not in known.get(f"{module}.weight", [width]):
            raise ModelFolderError(
                f"The adapter {adapter} was trained on another model than {base}, whose {module} has no side "
                f"of {width}: train it again on this one, or move it elsewhere."
            )


def _weights(adapter: Path) -> Path:
    file = adapter / "adapter_model.safetensors"
    if not file.is_file():
        raise ModelFolderError(
            f"The adapter {adapter} has no {file.name}: save it with PEFT's save_pretrained, or move it elsewhere."
        )
    return file
