"""Embedders: what the harness measures likeness of meaning with. Any sentence-transformers folder or hub id is one."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from serving.errors import UserError
from serving.home import home
from serving.model_folder import MODEL_SUFFIXES, ModelFolderError, folder_digest, resolve_model

if TYPE_CHECKING:
    import numpy as np

Encode = Callable[[list[str]], "np.ndarray"]

DEFAULT = "almanac-embedder"
ROOT = "sentence_transformers."
STATIC, UNIT = "StaticEmbedding", "Normalize"
WAY_OUT = "name a folder that sentence-transformers saved, or grow one with `homegrown train embedder almanac`"
NO_EMBEDDER = f"there is no embedder here: {WAY_OUT}"


@dataclass(frozen=True)
class Embedder:
    """Turns texts into vectors whose cosines tell how alike the texts are, and says how well it does so."""

    name: str
    sha256: str
    """Of the folder's files, as `folder_digest` computes it."""
    encode: Encode
    """Texts -> vectors (texts, dimensions) of any length."""

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Unit vectors, (texts, dimensions), float32; a text in which nothing is known has a vector of zeros.

        Raises `UserError` when the embedder is broken: its vectors are not finite.
        """
        import numpy as np

        if not texts:
            return self.embed([""])[:0]
        vectors = np.asarray(self.encode([_encodable(text) for text in texts]), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all():
            raise UserError(f"The embedder {self.name} gives vectors that are not finite: {WAY_OUT}.")
        return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)

    @cached_property
    def validity(self) -> dict[str, float | str]:
        """How well this embedder tells likeness of meaning, each measure with its value, or "not measured: why"."""
        from eval.validity import validity_of

        return validity_of(self)

    @property
    def baseline(self) -> float:
        """The cosine of texts that have nothing to do with each other. Raises `UserError` when that is 1."""
        from eval.validity import RANDOM_PAIRS

        value = float(self.validity[RANDOM_PAIRS])
        if value > 0.999:
            raise UserError(f"The embedder {self.name} takes all texts for the same: {WAY_OUT}.")
        return value

    @property
    def credentials(self) -> str:
        """Name, hash and validity in one line, for the caveat of whatever is measured with it."""
        from eval.validity import shown

        return f"by the embedder {self.name} ({self.sha256[:12]}; {shown(self.validity)})"


def default_embedder() -> Embedder | None:
    """The one that HOMEGROWN_EMBEDDER names, or the one grown with the almanac; None when there is none."""
    if named := os.environ.get("HOMEGROWN_EMBEDDER"):
        return load_embedder(named)
    grown = home() / "models" / DEFAULT
    return load_embedder(grown) if grown.is_dir() else None


def load_embedder(name: str | Path) -> Embedder:
    """The embedder in a folder, under a name of home()/models, or with a Hugging Face id.

    Raises `UserError` when it is not there or cannot be used.
    """
    folder = Path(resolve_model(str(name)))
    if not folder.is_dir():
        folder = _downloaded(str(name))
    check_embedder_folder(folder)
    label = folder.name if Path(name).is_dir() else str(name)
    return _loaded(label, folder.absolute(), folder_digest(folder))


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


@cache
def _loaded(name: str, folder: Path, sha256: str) -> Embedder:
    steps = [kind.rpartition(".")[2] for _, kind in _modules(folder)]
    static = steps in ([STATIC], [STATIC, UNIT])
    try:
        encode = _static(_modules(folder)[0][0]) if static else _sentence_transformer(folder)
    except UserError:
        raise
    except Exception as error:  # libraries raise whatever they like about files that are broken
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ModelFolderError(f"The embedder {folder} cannot be loaded ({reason}): {WAY_OUT}.") from None
    return Embedder(name, sha256, encode)


def _static(folder: Path) -> Encode:
    """The mean over token vectors, as sentence-transformers computes it, without its import of ten seconds."""
    import numpy as np
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = load_file(folder / "model.safetensors")["embedding.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    if tokenizer.get_vocab_size() > len(weights):
        raise UserError(f"The embedder {folder} has more tokens than vectors: {WAY_OUT}.")

    def encode(texts: list[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), weights.shape[1]), np.float32)
        for row, encoding in enumerate(tokenizer.encode_batch(texts, add_special_tokens=False)):
            if encoding.ids:
                vectors[row] = weights[encoding.ids].mean(axis=0, dtype=np.float32)
        return vectors

    return encode


def _sentence_transformer(folder: Path) -> Encode:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), local_files_only=True)
    return lambda texts: model.encode(texts, show_progress_bar=False)


def _encodable(text: str) -> str:
    """`text` without the halves of surrogate pairs that a cut-off reply may end in."""
    return text.encode("utf-8", "replace").decode("utf-8")
