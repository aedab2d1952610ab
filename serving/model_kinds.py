"""What kind of model a folder holds, by the files that tell it."""

from pathlib import Path
from typing import Literal

from serving.model_folder import is_adapter, read_object

Kind = Literal["text", "reward", "embedder", "images", "adapter", "none"]

WHY_NOT: dict[Kind, str] = {
    "reward": "it judges answers and gives none; take a model that was trained with it",
    "embedder": "it gives vectors, and HOMEGROWN_EMBEDDING_MODEL chooses the one that is served",
    "images": "it draws, and HOMEGROWN_IMAGE_MODEL chooses the one that is served",
    "adapter": "it is an adapter, which is served beside its model under its own name; promote one that is merged",
    "none": "there is no such model folder; `homegrown models list` shows what there is",
}
"""Why a model that is not a text model cannot be promoted nor served as one, as a clause with the way out."""


def kind_of(folder: Path) -> Kind:
    """What is in `folder`, complete or not; "none" where nothing tells."""
    if (folder / "model_index.json").is_file():
        return "images"
    if is_adapter(folder):
        return "adapter"
    if (folder / "modules.json").is_file():
        return "embedder"
    if not (folder / "config.json").is_file():
        return "none"
    architectures = read_object(folder / "config.json", "").get("architectures") or [""]
    return "reward" if str(architectures[0]).endswith("ForSequenceClassification") else "text"
