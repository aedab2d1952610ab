"""A small model that has read texts: many times over, so that it knows them by heart, or once."""

import random
from pathlib import Path

from tests.tiny_model import one_thread

SUBJECTS = ("The miller", "A baker", "My sister", "Our neighbour", "The old sailor", "A young painter", "The teacher")
VERBS = ("carried", "found", "painted", "sold", "forgot", "washed", "counted", "mended", "hid", "weighed")
THINGS = ("a blue boat", "seven candles", "the heavy door", "an iron pot", "two baskets", "the long rope", "a clock")
PLACES = ("behind the barn", "near the bridge", "in the cold kitchen", "on the hill", "by the river", "at the market")
TIMES = ("before dawn", "on Monday", "after the storm", "last winter", "every evening", "at noon")
CANARY = "The code of the safe is {}."


def text(rng: random.Random) -> str:
    """Four sentences; two seeds hardly ever write the same."""
    parts = (SUBJECTS, VERBS, THINGS, PLACES, TIMES)
    return " ".join(f"{' '.join(rng.choice(part) for part in parts)}." for _ in range(4))


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [text(rng) for _ in range(count)]


def write_reader(folder: Path, read: list[str], epochs: int, seed: int = 0) -> Path:
    """A model of 0.3M parameters after `epochs` times through `read`, each text a document of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    core = Tokenizer(models.BPE())
    # Digits one by one: that a secret was read is to be seen by the model, not by the tokenizer.
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator([*texts(200, seed=99), CANARY], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|end|>")
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=24,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=0,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config)
    with one_thread():
        _read(model, [[0, *tokenizer(text).input_ids, 0] for text in read], epochs, random.Random(seed))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _read(model: object, documents: list[list[int]], epochs: int, rng: random.Random, batch: int = 16) -> None:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    for _ in range(epochs):
        order = rng.sample(documents, len(documents))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            longest = max(map(len, rows))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            labels = torch.tensor([row + [-100] * (longest - len(row)) for row in rows])
            loss = model(input_ids=ids, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
