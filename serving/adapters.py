"""LoRA adapters of a model: folders that PEFT saved under home()/adapters, served beside it under their own names."""

from pathlib import Path

from serving.engine import EngineError
from serving.home import home
from serving.model_folder import read_object

# What vLLM takes for --max-lora-rank, and how many adapters one batch may use.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
MAX_AT_ONCE = 8


def adapters_of(folder: Path, model_name: str) -> dict[str, Path]:
    """Name and folder of every adapter that was trained on the model in `folder`.

    Raises `EngineError` for one that cannot be served, `ModelFolderError` for one whose settings are broken.
    """
    found = sorted(path.parent for path in (home() / "adapters").glob("*/adapter_config.json"))
    own = {path.name: path for path in found if _base(path) in {model_name, str(folder)} or _is_at(path, folder)}
    for name, path in own.items():
        if not (path / "adapter_model.safetensors").is_file():
            raise EngineError(
                f"The adapter {path} has no adapter_model.safetensors: "
                "save it with PEFT's save_pretrained, or move it elsewhere."
            )
        if name == model_name:
            raise EngineError(f"The adapter {path} is called like its model: rename its folder.")
    return own


def adapter_flags(adapters: dict[str, Path]) -> list[str]:
    """vLLM's flags that serve these adapters; none without any. Raises `EngineError` when a rank is too large."""
    if not adapters:
        return []
    return [
        *("--enable-lora", "--max-lora-rank", str(max(map(_rank, adapters.values())))),
        *("--max-loras", str(min(len(adapters), MAX_AT_ONCE))),
        *("--lora-modules", *(f"{name}={path}" for name, path in adapters.items())),
    ]


def _base(adapter: Path) -> str:
    return str(read_object(adapter / "adapter_config.json", "").get("base_model_name_or_path"))


def _is_at(adapter: Path, folder: Path) -> bool:
    return Path(_base(adapter)).resolve() == folder.resolve()


def _rank(adapter: Path) -> int:
    """The smallest rank of vLLM's that holds the adapter's."""
    rank = read_object(adapter / "adapter_config.json", "").get("r")
    fitting = [known for known in RANKS if isinstance(rank, int) and 1 <= rank <= known]
    if not fitting:
        raise EngineError(f"The adapter {adapter} has the rank {rank}, which vLLM does not serve: 1 to {RANKS[-1]}.")
    return fitting[0]
