"""Embedders: sentence-transformers folders or hub ids, found, checked and loaded without running code of their own."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from serving.errors import UserError
from serving.model_folder import MODEL_SUFFIXES, ModelFolderError, resolve_model

if TYPE_CHECKING:
    import numpy as np

Encode = Callable[[list[str]], "np.ndarray"]

ROOT = "sentence_transformers."
STATIC, UNIT = "StaticEmbedding", "Normalize"
WAY_OUT = "name a folder that sentence-transformers saved, or grow one with `homegrown train embedder almanac`"


@dataclass(frozen=True)
class Encoder:
    """A loaded embedder."""

    encode: Encode
    """Texts -> vectors (texts, dimensions) of any length."""
    count: Callable[[list[str]], list[int]]
    """Tokens of each text."""
    longest: int | None
    """Tokens of a text that count; None: all of them."""


def find_embedder(name: str | Path) -> Path:
    """The checked folder of the embedder in a folder, under a name of home()/models, or with a Hugging Face id.

    Raises `UserError` when it is not there or cannot be used.
    """
    folder = Path(resolve_model(str(name)))
    if not folder.is_dir():
        folder = _downloaded(str(name))
    check_embedder_folder(folder)
    return folder


def check_embedder_folder(path: Path) -> None:
    """Whether the folder holds what sentence-transformers loads without running code of its own.

    Raises `ModelFolderError` with the first thing that is wrong.
    """
    for place, kind in _modules(path):
        if not kind.startswith(ROOT):
            raise ModelFolderError(
                f"The embedder {path} asks to run code of its own ({kind}), which is never done here: {WAY_OUT}."
            )
        if not place.resolve().is_relative_to(path.resolve()):
            raise ModelFolderError(f"The file {path / 'modules.json'} leads out of its folder: {WAY_OUT}.")
    if not any(path.rglob("*.safetensors")):
        raise ModelFolderError(f"The embedder {path} has no weights in safetensors: {WAY_OUT}.")


def load_encoder(folder: Path) -> Encoder:
    """The embedder in a checked folder. Raises `UserError` when it is broken."""
    steps = [kind.rpartition(".")[2] for _, kind in _modules(folder)]
    static = steps in ([STATIC], [STATIC, UNIT])
    try:
        return _static(_modules(folder)[0][0]) if static else _sentence_transformer(folder)
    except UserError:
        raise
    except Exception as error:  # libraries raise whatever they like about files that are broken
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ModelFolderError(f"The embedder {folder} cannot be loaded ({reason}): {WAY_OUT}.") from None


def unit_vectors(encode: Encode, texts: Sequence[str], name: str) -> "np.ndarray":
    """Vectors of length one, (texts, dimensions), float32; a text in which nothing is known has a vector of zeros.

    Raises `UserError` when the embedder called `name` is broken: its vectors are not finite.
    """
    import numpy as np

    vectors = np.asarray(encode([_encodable(text) for text in texts]), np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise UserError(f"The embedder {name} gives vectors that are not finite: {WAY_OUT}.")
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)


def _modules(path: Path) -> list[tuple[Path, str]]:
    """Folder and class of each step from a text to its vector."""
    try:
        steps = json.loads((path / "modules.json").read_bytes())
        return [(path / PurePosixPath(step["path"]), str(step["type"])) for step in steps]
    except FileNotFoundError:
        raise ModelFolderError(f"The folder {path} is no embedder, for it has no modules.json: {WAY_OUT}.") from None
    except (OSError, ValueError, TypeError, KeyError):
        raise ModelFolderError(f"The file {path / 'modules.json'} cannot be read: {WAY_OUT}.") from None


def _downloaded(hub_id: str) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=[f"*{suffix}" for suffix in MODEL_SUFFIXES]))
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise UserError(f"The embedder {hub_id} cannot be downloaded ({reason}): {WAY_OUT}.") from None


def _static(folder: Path) -> Encoder:
    """The mean over token vectors, as sentence-transformers computes it, without its import of ten seconds."""
    import numpy as np
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = load_file(folder / "model.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    if tokenizer.get_vocab_size() > len(weights):
        raise UserError(f"The embedder {folder} has more tokens than vectors: {WAY_OUT}.")

    def tokens(texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def encode(texts: list[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), weights.shape[1]), np.float32)
        for row, ids in enumerate(tokens(texts)):
            if ids:
                vectors[row] = weights[ids].mean(axis=0, dtype=np.float32)
        return vectors

    return Encoder(encode, lambda texts: [len(ids) for ids in tokens(texts)], longest=None)


def _sentence_transformer(folder: Path) -> Encoder:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), local_files_only=True)
    return Encoder(
        encode=lambda texts: model.encode(texts, show_progress_bar=False),
        count=lambda texts: [len(ids) for ids in model.tokenizer(texts, truncation=False)["input_ids"]],
        longest=model.max_seq_length,
    )


def _encodable(text: str) -> str:
    """`text` without the halves of surrogate pairs that a cut-off reply may end in."""
    return text.encode("utf-8", "replace").decode("utf-8")
