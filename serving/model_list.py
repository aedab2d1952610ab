"""Every model of this home, as `homegrown models list` shows it."""

import math
from dataclasses import dataclass
from pathlib import Path

from serving.home import home
from serving.model_folder import Lineage, ModelFolderError, read_lineage, tensor_shapes
from serving.model_kinds import Kind, kind_of
from serving.registry import DEFAULT_MODEL, Promotion, current


@dataclass(frozen=True)
class ModelInfo:
    """One model. `parents`: what it was made from, the nearest first; None and nothing where its folder does not tell.

    `problem` is why it cannot be used, as far as its headers tell.
    """

    name: str
    kind: Kind
    stage: str | None
    recipe: str | None
    parents: list[str]
    parameters: int | None
    bytes: int
    grown: str | None
    served: bool
    problem: str | None


def models_here() -> list[ModelInfo]:
    """Every text model, reward model, embedder, image model and adapter, by name."""
    served = served_name(current())
    folders = [folder for place in ("models", "adapters") for folder in sorted((home() / place).glob("[!.]*"))]
    return [_info(folder, served) for folder in folders if folder.is_dir()]


def served_name(promotion: Promotion | None) -> str:
    """The model that is served when none is named."""
    return promotion.name if promotion else DEFAULT_MODEL


def find_model(name: str) -> Path:
    """The folder of the model or adapter called `name`, or the folder `name`. Raises `ModelFolderError`."""
    places = [Path(name), home() / "models" / name, home() / "adapters" / name]
    if found := next((place for place in places if name and place.is_dir()), None):
        return found
    known = ", ".join(model.name for model in models_here()) or "no model yet"
    raise ModelFolderError(f"There is no model {name}: name a folder, or one of those in {home()}: {known}.")


def _info(folder: Path, served: str) -> ModelInfo:
    kind, lineage, parameters, problem = "none", None, None, None
    try:
        kind = kind_of(folder)
        lineage = _lineage(folder)
        parameters = sum(math.prod(shape) for file in weights_in(folder) for shape in tensor_shapes(file).values())
    except ModelFolderError as error:
        problem = str(error)
    return ModelInfo(
        name=folder.name,
        kind=kind,
        stage=lineage and lineage.stage,
        recipe=lineage and lineage.recipe,
        parents=_parents(lineage),
        parameters=parameters,
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        grown=lineage and lineage.created,
        served=kind == "text" and folder.name == served,
        problem=problem,
    )


def weights_in(folder: Path) -> list[Path]:
    """Its weight files; an image model has some in each of its parts."""
    return sorted(folder.rglob("*.safetensors"))


def _lineage(folder: Path) -> Lineage | None:
    return read_lineage(folder) if (folder / "lineage.json").is_file() else None


def _parents(lineage: Lineage | None) -> list[str]:
    """Names of parents, as far back as they are still here."""
    parents: list[str] = []
    # What a pretrained model was made from is its tokenizer.
    while lineage and lineage.parent and lineage.stage != "pretrain" and lineage.parent not in parents:
        parents.append(lineage.parent)
        lineage = _lineage(home() / "models" / lineage.parent)
    return parents
