"""Embedders of a few whole words, as sentence-transformers loads them; whole, or broken on purpose."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = {"[UNK]": [0, 0, 0], "cat": [2, 0, 0], "dog": [1, 1, 0], "law": [0, 0, 3], "tom": [2, 0.1, 0]}
STATIC = "sentence_transformers.models.StaticEmbedding"


def write_embedder(
    folder: Path,
    words: Mapping[str, Sequence[float]] = WORDS,
    *,
    vectors: np.ndarray | None = None,
    kind: str = STATIC,
    path: str = "",
) -> Path:
    """An embedder that knows `words`, or says `vectors` (words x dimensions) for them; texts are means of words."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = np.array(list(words.values()) if vectors is None else vectors, np.float32)
    save_file({"embedding.weight": weights}, folder / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}]))
    (folder / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "cosine"}')
    return folder
