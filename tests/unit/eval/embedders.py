"""Small embedders as folders: one vector a word, the mean of them a text's."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

UNKNOWN = "[UNK]"


def write_word_embedder(folder: Path, vectors: dict[str, list[float] | np.ndarray]) -> Path:
    """A sentence-transformers folder that knows these words in lower case; all others have no length."""
    folder.mkdir(parents=True)
    table = {UNKNOWN: np.zeros(len(next(iter(vectors.values()))))} | vectors
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(table)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embedding.weight": np.array(list(table.values()), np.float32)}, folder / "model.safetensors")
    steps = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "cosine"}')
    return folder


def concepts(count: int, words: int, noise: float, seed: int = 0) -> dict[str, np.ndarray]:
    """`count` directions, each with `words` words around it: "c3w1" is the second word of the fourth."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((count, 32))
    return {f"c{c}w{w}": centres[c] + noise * rng.standard_normal(32) for c in range(count) for w in range(words)}
