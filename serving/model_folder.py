"""A model is a folder: what must be in it, how it is recognised, and where it came from.

The layout is Hugging Face's (config.json, *.safetensors, tokenizer.json, a chat template) plus lineage.json and a
generated README.md. Nothing in such a folder is ever executed: no pickled weights, no code of its own.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.errors import UserError
from serving.home import home

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
MODEL_SUFFIXES = (".json", ".jinja", ".safetensors", ".txt", ".model")
NOT_THE_MODEL = ("README.md", "lineage.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class ModelFolderError(UserError):
    """A model folder that cannot be used as it is."""

    exit_code = 3


class Source(BaseModel):
    """One source of training text as it was read."""

    model_config = ConfigDict(extra="forbid")

    name: str
    licence: str | None = None
    rows: int
    sha256: str


class Lineage(BaseModel):
    """How a model folder came to be; `lineage.json` holds exactly this."""

    model_config = ConfigDict(extra="forbid")

    stage: str
    parent: str | None = None
    parent_sha256: str | None = None
    recipe: str | None = None
    sources: list[Source] = []
    seed: int = 0
    versions: dict[str, str] = {}
    tokens: int = 0
    pictures: int = 0
    examples: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = {}
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def resolve_model(name: str) -> str:
    """Where the model called `name` is: a folder, a name under home()/models, or a Hugging Face id, in this order.

    Raises `ModelFolderError` when it is none of them.
    """
    if name and Path(name).is_dir():
        return name
    models = home() / "models"
    if re.fullmatch(r"[\w.-]+", name) and (models / name).is_dir():
        return str(models / name)
    if HUB_ID.fullmatch(name):
        return name
    grown = sorted(folder.name for folder in models.glob("*") if folder.is_dir())
    raise ModelFolderError(
        f"There is no model folder {name}, and {models} holds {', '.join(grown) or 'no model yet'}: "
        "name one of those, a folder, a Hugging Face id (owner/name), or grow one with `homegrown train run almanac`."
    )


def check_model_folder(path: Path, chat: bool = True) -> None:
    """Whether the model in `path` can be loaded and, with `chat`, talked to.

    Reads every header but no weights. Raises `ModelFolderError` with the first thing that is wrong.
    """
    if not path.is_dir():
        raise ModelFolderError(f"The model folder {path} does not exist: check the path, or name another model.")
    check_links(path)
    if is_adapter(path):
        raise ModelFolderError(_served_with(path))
    config = read_object(path / "config.json", "name a folder that transformers' save_pretrained wrote")
    _check_no_own_code(path)
    tokenizer = read_object(path / "tokenizer.json", "save the model's tokenizer there with tokenizer.save_pretrained")
    embedding_rows = _check_weights(path)
    _check_vocabulary(path, config, tokenizer, embedding_rows)
    if chat and not has_chat_template(path):
        raise ModelFolderError(
            f"The model folder {path} has no chat_template.jinja, so nobody can chat with it: "
            "fine-tune it with `homegrown train sft`, or put the template of its tokenizer there."
        )


def is_adapter(path: Path) -> bool:
    """Whether the folder holds no whole model but a LoRA adapter of one."""
    return (path / "adapter_config.json").is_file()


def has_chat_template(path: Path) -> bool:
    """Whether the folder says how a conversation is written for its model."""
    if (path / "chat_template.jinja").is_file():
        return True
    settings = path / "tokenizer_config.json"
    return settings.is_file() and bool(read_object(settings, "").get("chat_template"))


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a model folder: one, or the shards that its index names."""
    index = path / "model.safetensors.index.json"
    if not index.is_file():
        return [path / "model.safetensors"]
    weight_map = read_object(index, "save the model again").get("weight_map")
    names = set(map(str, weight_map.values())) if isinstance(weight_map, dict) else set()
    if not names or any(Path(name).name != name for name in names):
        raise ModelFolderError(f"The file {index} does not name weight files of its own folder: save the model again.")
    return [path / name for name in sorted(names)]


def folder_digest(path: Path) -> str:
    """SHA-256 over the names and contents of the files that make the model; card and lineage do not count."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix()):
        if file.is_file() and file.suffix in MODEL_SUFFIXES and file.name not in NOT_THE_MODEL:
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{file.relative_to(path).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def finish_model_folder(path: Path, lineage: Lineage, name: str | None = None) -> None:
    """Write `lineage.json` and the model card; a folder with both is finished. `name`: what it will be called."""
    from serving.model_card import model_card

    card = model_card(name or path.name, lineage, is_adapter(path))
    (path / "README.md").write_text(card, encoding="utf-8")
    (path / "lineage.json").write_text(lineage.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_lineage(path: Path) -> Lineage:
    """Where the model in `path` came from. Raises `ModelFolderError` when its lineage.json is missing or broken."""
    file = path / "lineage.json"
    try:
        return Lineage.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise ModelFolderError(f"The model folder {path} has no lineage.json: it was not grown here.") from None
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "its JSON"
        raise ModelFolderError(f"The file {file} is broken at {key}: grow the model again.") from None


def read_object(file: Path, way_out: str) -> dict:
    """The JSON object in `file`; `way_out` completes the sentence for a file that is missing.

    Raises `ModelFolderError`.
    """
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ModelFolderError(f"The model folder {file.parent} has no {file.name}: {way_out}.") from None
    except (ValueError, RecursionError, OSError):
        raise ModelFolderError(f"The file {file} is not readable JSON: save or download the model again.") from None
    if not isinstance(value, dict):
        raise ModelFolderError(f"The file {file} holds no JSON object: save or download the model again.")
    return value


def check_links(path: Path) -> None:
    """Raise `ModelFolderError` when a link leads out of the folder in `path`."""
    # In the Hugging Face cache the files of snapshots/<revision> are links into blobs/ beside it.
    boundary = path.resolve().parents[1] if path.resolve().parent.name == "snapshots" else path.resolve()
    for file in path.rglob("*"):
        if file.is_symlink() and not file.resolve().is_relative_to(boundary):
            raise ModelFolderError(f"The link {file} leads out of the model folder: put the file itself there.")


def _check_no_own_code(path: Path) -> None:
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        if (path / name).is_file() and "auto_map" in read_object(path / name, ""):
            raise ModelFolderError(
                f"The file {path / name} asks to run the model's own code (auto_map), which is never done here: "
                "choose a model whose architecture transformers and vLLM know."
            )


def _served_with(adapter: Path) -> str:
    base = str(read_object(adapter / "adapter_config.json", "").get("base_model_name_or_path"))
    base = Path(base).name if Path(base).parent == home() / "models" else base
    return (
        f"{adapter} is an adapter of {base} and no whole model: `homegrown serve {base}` serves it beside that model, "
        f"under the name {adapter.name}, and `homegrown eval run {adapter.name} --base-url URL` asks it there."
    )


def _check_weights(path: Path) -> int | None:
    """Check each weight file's header against its size; the rows of the token embedding, where one is found."""
    embedding_rows = None
    for file in weight_files(path):
        if not file.is_file():
            raise ModelFolderError(_missing_weights(path, file))
        for name, shape in tensor_shapes(file).items():
            if name.endswith("embed_tokens.weight"):
                embedding_rows = shape[0]
    return embedding_rows


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a safetensors file, from its header. Raises `ModelFolderError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as tensors:
            return {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError):
        raise ModelFolderError(
            f"The weights {file} are truncated or corrupt ({file.stat().st_size} bytes): "
            "copy or download the file again, or repeat the training stage that wrote it."
        ) from None


def _missing_weights(path: Path, file: Path) -> str:
    pickled = sorted(other.name for other in path.iterdir() if other.suffix in PICKLE_SUFFIXES)
    if pickled:
        return (
            f"The model folder {path} has only pickled weights ({pickled[0]}), which can run code when loaded: "
            "convert them with save_pretrained(safe_serialization=True) where you trust them."
        )
    return f"The model folder {path} has no {file.name}: copy or download it again."


def _check_vocabulary(path: Path, config: dict, tokenizer: dict, embedding_rows: int | None) -> None:
    vocab_size = config.get("vocab_size", (config.get("text_config") or {}).get("vocab_size"))
    if embedding_rows is not None and vocab_size is not None and embedding_rows != vocab_size:
        raise ModelFolderError(
            f"The model folder {path} does not fit together: config.json says vocab_size {vocab_size}, "
            f"the embedding in its weights has {embedding_rows} rows; take both from the same model."
        )
    rows = embedding_rows or vocab_size
    largest = _largest_token_id(path, tokenizer)
    if rows is not None and largest >= rows:
        raise ModelFolderError(
            f"The tokenizer in {path} has token ids up to {largest}, but the model knows only {rows} tokens: "
            "put the tokenizer there that the model was trained with."
        )


def _largest_token_id(path: Path, tokenizer: dict) -> int:
    try:
        vocab = tokenizer["model"]["vocab"]
        # A Unigram model lists [piece, score] pairs, whose place is the id; the others map token to id.
        ids = [len(vocab) - 1] if isinstance(vocab, list) else vocab.values()
        return max([*ids, *(token["id"] for token in tokenizer.get("added_tokens") or [])])
    except (KeyError, TypeError, ValueError):
        file = path / "tokenizer.json"
        raise ModelFolderError(f"The file {file} holds no vocabulary: save the tokenizer again.") from None
