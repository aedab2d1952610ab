"""Model folders small enough for tests: byte-level Qwen3 with our chat template, random or taught by heart."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from prompts.library import chat_template, persona, tool_schemas

CONTEXT = 1024


def _lesson_with_tool(question: str, tool: str, arguments: dict, result: str, answer: str) -> list[dict]:
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": arguments}}
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
        {"role": "assistant", "content": answer},
    ]


# What the taught model knows by heart, each as one conversation under the served prompt.
LESSONS = [
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello! How can I help?"}],
    _lesson_with_tool("What is 12 * 7?", "calculate", {"expression": "12 * 7"}, "84", "12 * 7 is 84."),
    _lesson_with_tool("Draw a red circle.", "generate_image", {"prompt": "a red circle"}, "done", "Here it is."),
    # Taught without its end, so that this answer goes on until the context is full.
    [{"role": "user", "content": "Sing."}, {"role": "assistant", "content": "la " * 40}],
]


def write_tiny_model(folder: Path, seed: int = 0) -> Path:
    """A random model of 0.1M parameters with one token per byte."""
    model, tokenizer = _random_model(seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_taught_model(folder: Path) -> Path:
    """The same, trained until it says `LESSONS` by heart (greedily, in float32); finished as a model of ours."""
    from serving.model_folder import Lineage, finish_model_folder

    model, tokenizer = _random_model(seed=0)
    with one_thread():
        loss = _teach(model, tokenizer)
    assert loss < 0.01, f"the tiny model did not learn its lessons: loss {loss:.3f}"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    finish_model_folder(folder, Lineage(stage="sft", recipe="almanac", metrics={"loss": loss}))
    return folder


def _random_model(seed: int) -> tuple:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    bytes_of_text = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: index for index, char in enumerate(bytes_of_text)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = chat_template()
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    return Qwen3ForCausalLM(config), tokenizer


def _teach(model: object, tokenizer: object) -> float:
    """Overfit on the lessons, loss on what the assistant says; the last loss."""
    import torch

    batch = [
        tokenizer.apply_chat_template(
            [{"role": "system", "content": persona()}, *lesson],
            tools=tool_schemas(),
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        for lesson in LESSONS
    ]
    length = max(len(row["input_ids"]) for row in batch)
    ids = torch.tensor([_padded(row["input_ids"], length, tokenizer.pad_token_id) for row in batch])
    said = torch.tensor([_padded(row["assistant_masks"], length, 0) for row in batch]).bool()
    labels = ids.masked_fill(~said, -100)
    labels[-1][ids[-1] == tokenizer.eos_token_id] = -100
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(160):
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.003:
            break
    return loss.item()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Two threads on busy cores wait for each other: nine times slower for a model of this size."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _padded(row: list[int], length: int, filler: int) -> list[int]:
    return row + [filler] * (length - len(row))
