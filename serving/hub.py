"""Turns a model's name into a checked folder on this machine, downloading it from the Hugging Face hub if need be."""

from pathlib import Path

from serving.model_folder import ModelFolderError, check_model_folder, resolve_model
from serving.model_kinds import WHY_NOT, kind_of

FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.txt", "*.model"]


def local_folder(name: str, chat: bool = True) -> Path:
    """The checked folder of the model called `name` (see `resolve_model`).

    Raises `ModelFolderError` when there is none, it cannot be downloaded, or it cannot be used.
    """
    resolved = resolve_model(name)
    folder = Path(resolved) if Path(resolved).is_dir() else download(resolved, FILES)
    if chat and (kind := kind_of(folder)) in ("reward", "embedder", "images"):
        raise ModelFolderError(f"The model {name} cannot be talked to: {WHY_NOT[kind]}.")
    check_model_folder(folder, chat)
    return folder


def download(hub_id: str, files: list[str], but_not: list[str] | None = None) -> Path:
    """The files of a hub model whose names match the patterns. Raises `ModelFolderError` when they cannot be had."""
    from httpx import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=files, ignore_patterns=but_not))
    except (HfHubHTTPError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelFolderError(
            f"The model {hub_id} could not be fetched from the Hugging Face hub ({reason.rstrip('.')}): "
            "check the id and the connection, or name a local model folder."
        ) from None
