"""An image model is a diffusers pipeline folder: how it is found, fetched, and checked before anything is loaded."""

import json
import math
import re
from importlib.util import find_spec
from pathlib import Path

from serving.home import home
from serving.hub import download
from serving.model_folder import HUB_ID, PICKLE_SUFFIXES, ModelFolderError, check_links, read_object

OWN_PIPELINE, OWN_LIBRARY = "PixelPipeline", "serving.images.model"
INDEX = "model_index.json"
FETCHED = [INDEX, *(f"*/*.{suffix}" for suffix in ("json", "safetensors", "txt", "model", "jinja"))]
# Other precisions of the same weights.
NOT_FETCHED = ["*.fp16*", "*.bf16*", "*non_ema*"]
NAME = re.compile(r"\w[\w.-]*")
HALF_PRECISION = ".fp16"
MAX_HEADER_BYTES = 100 * 2**20


def image_folder(name: str) -> Path:
    """The checked folder of the image model `name`: a name under home()/models, a folder, or a Hugging Face id.

    A name comes first, because many have a folder called images that holds something else.

    Raises `ModelFolderError` when there is none, it cannot be fetched, or it cannot be used.
    """
    own = home() / "models" / name
    if NAME.fullmatch(name) and own.is_dir():
        folder = own
    elif name and Path(name).is_dir():
        folder = Path(name)
    elif HUB_ID.fullmatch(name):
        folder = download(name, FETCHED, NOT_FETCHED)
    else:
        raise ModelFolderError(
            f"There is no image model {name}: name a diffusers folder, a Hugging Face id (owner/name), "
            "or grow one with `homegrown train images`."
        )
    check_image_folder(folder)
    return folder


def check_image_folder(path: Path) -> None:
    """Whether the pipeline in `path` can be loaded; nothing of it is executed, of its weights only headers are read.

    Raises `ModelFolderError` with the first thing that is wrong.
    """
    if not path.is_dir():
        raise ModelFolderError(f"The image model folder {path} does not exist: check the path, or name another model.")
    check_links(path)
    _check_files(path)
    index = read_object(path / INDEX, "name a folder that a diffusers pipeline's save_pretrained wrote")
    if not isinstance(index.get("_class_name"), str):
        raise ModelFolderError(
            f"The file {path / INDEX} names no pipeline class of diffusers (_class_name): code of its own is never run."
        )
    for part, (library, class_name) in _parts(index).items():
        if not _is_known(library):
            raise ModelFolderError(
                f"The file {path / INDEX} takes {part} ({class_name}) from the module {library}: only parts of "
                "diffusers and transformers are loaded, so choose another model."
            )
        if not part.isidentifier() or not (path / part).is_dir():
            raise ModelFolderError(f"The image model folder {path} has no part {part}: copy or download it again.")
        _check_part(path / part)


def is_own(path: Path) -> bool:
    """Whether the pipeline is our own class, which diffusers knows after importing serving.images.pipeline."""
    return read_object(path / INDEX, "")["_class_name"] == OWN_PIPELINE


def parameter_counts(path: Path) -> dict[str, int]:
    """Parameters of each part of a checked pipeline folder that has weights, by the headers of its files."""
    counts = {
        part: sum(_check_weights(file) for file in _weight_files(path / part))
        for part in _parts(read_object(path / INDEX, ""))
    }
    return {part: count for part, count in counts.items() if count}


def variant(path: Path) -> str | None:
    """The variant to load: "fp16" where a part has no other weights, else None."""
    parts = [_weight_files(path / part) for part in _parts(read_object(path / INDEX, ""))]
    return HALF_PRECISION[1:] if any(files and HALF_PRECISION in files[0].name for files in parts) else None


def identity(path: Path) -> tuple[int, int] | None:
    """Changes when the folder is replaced or written anew; None while there is none."""
    try:
        status = (path / INDEX).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _check_files(path: Path) -> None:
    for file in sorted(path.rglob("*")):
        if file.suffix in PICKLE_SUFFIXES:
            raise ModelFolderError(
                f"The image model folder {path} holds a pickle ({file.relative_to(path)}), which can run code when "
                "loaded: remove it, and convert weights with save_pretrained(safe_serialization=True) where you trust "
                "them."
            )
        if file.suffix == ".py":
            raise ModelFolderError(
                f"The image model folder {path} brings code of its own ({file.relative_to(path)}), which is never run "
                "here: choose a model whose pipeline diffusers knows."
            )


def _parts(index: dict) -> dict[str, tuple[str, str]]:
    """Library and class of each part; one that may be absent and is, is named [null, null]."""
    entries = {name: entry for name, entry in index.items() if isinstance(entry, list) and name[:1] != "_"}
    return {name: (str(entry[0]), str(entry[1])) for name, entry in entries.items() if len(entry) == 2 and any(entry)}


def _is_known(library: str) -> bool:
    """Whether a part may come from there; diffusers calls its pipelines' own parts by the pipeline's folder."""
    if library in ("diffusers", "transformers", OWN_LIBRARY):
        return True
    pipelines = Path(find_spec("diffusers").submodule_search_locations[0]) / "pipelines"
    return bool(re.fullmatch(r"[a-z]\w*", library)) and (pipelines / library).is_dir()


def _check_part(part: Path) -> None:
    for file in part.glob("*config.json"):
        if "auto_map" in read_object(file, ""):
            raise ModelFolderError(
                f"The file {file} asks to run the model's own code (auto_map), which is never done here: "
                "choose a model whose parts diffusers and transformers know."
            )
    for file in part.glob("*.index.json"):
        _check_shards(file)
    if (part / "config.json").is_file():
        files = _weight_files(part)
        if not files:
            raise ModelFolderError(f"The image model's part {part} has no weights (*.safetensors): download it again.")
        for file in files:
            _check_weights(file)


def _check_shards(index: Path) -> None:
    """Diffusers would unpickle a shard of another suffix, and follow a path to anywhere."""
    weight_map = read_object(index, "").get("weight_map")
    names = set(map(str, weight_map.values())) if isinstance(weight_map, dict) else {""}
    beside = {file.name for file in index.parent.glob("*.safetensors")}
    if missing := sorted(names - beside):
        raise ModelFolderError(
            f"The file {index} names the weights {missing[0]!r}, which is no safetensors file beside it: "
            "copy or download the model again."
        )


def _weight_files(part: Path) -> list[Path]:
    """The weights that are loaded: those of half precision only where there are no others."""
    files = sorted(part.glob("*.safetensors"))
    return [file for file in files if "." not in file.stem] or [file for file in files if HALF_PRECISION in file.name]


def _check_weights(file: Path) -> int:
    """The parameters in a safetensors file. Raises `ModelFolderError` when its header and its size do not agree."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            tensors = json.loads(stream.read(min(length, MAX_HEADER_BYTES)))
        tensors.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        if file.stat().st_size != 8 + length + end:
            raise ValueError
        return sum(math.prod(tensor["shape"]) for tensor in tensors.values())
    except (ValueError, TypeError, KeyError, LookupError, RecursionError, AttributeError):
        raise ModelFolderError(
            f"The weights {file} are truncated or corrupt ({file.stat().st_size} bytes): copy or download them again."
        ) from None
