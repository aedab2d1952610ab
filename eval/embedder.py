"""Embedders: what the harness measures likeness of meaning with. Any sentence-transformers folder or hub id is one."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from serving.embedder import WAY_OUT, Encode, find_embedder, load_encoder, unit_vectors
from serving.errors import UserError
from serving.home import home
from serving.model_folder import folder_digest

if TYPE_CHECKING:
    import numpy as np

DEFAULT = "almanac-embedder"
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
        if not texts:
            return self.embed([""])[:0]
        return unit_vectors(self.encode, texts, self.name)

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
    folder = find_embedder(name)
    label = folder.name if Path(name).is_dir() else str(name)
    return _loaded(label, folder.absolute(), folder_digest(folder))


@cache
def _loaded(name: str, folder: Path, sha256: str) -> Embedder:
    return Embedder(name, sha256, load_encoder(folder).encode)
