"""A home with models of every kind, small enough to be made for each test."""

import json
import shutil
from pathlib import Path

from serving.model_folder import Lineage, finish_model_folder
from tests.tiny_model import write_tiny_model


def copy_model(model: Path, home: Path, name: str, **lineage: object) -> Path:
    """The model as `name` of a home, grown as its `lineage` says; without one, grown nowhere."""
    folder = Path(shutil.copytree(model, home / "models" / name))
    if lineage:
        finish_model_folder(folder, Lineage(**lineage))
    return folder


def fill(home: Path, model: Path) -> None:
    """`almanac` of `almanac-base`, `better` of `almanac`, a reward model, an embedder, an image model, an adapter."""
    copy_model(model, home, "almanac-base", stage="pretrain", recipe="almanac", parent="model")
    copy_model(model, home, "almanac", stage="sft", recipe="almanac", parent="almanac-base")
    better = write_tiny_model(home / "models" / "better", seed=1)
    finish_model_folder(better, Lineage(stage="dpo", recipe="almanac", parent="almanac", tokens=5))
    judge = copy_model(model, home, "judge", stage="reward", recipe="almanac", parent="almanac")
    edit(judge / "config.json", architectures=["Qwen3ForSequenceClassification"])
    write(home / "models" / "almanac-embedder" / "modules.json", [])
    write(home / "models" / "images" / "model_index.json", {})
    write(home / "adapters" / "tuned" / "adapter_config.json", {"base_model_name_or_path": "almanac", "r": 8})
    (home / "models" / ".almanac.old").mkdir()


def write(file: Path, value: object) -> None:
    """Write a file of JSON, and the folders it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def edit(file: Path, **changes: object) -> None:
    """Change some values of a file of JSON."""
    write(file, json.loads(file.read_text()) | changes)
