"""Tiny random models of three architectures that were not grown here, each with a tokenizer of its own.

A Llama whose chat template does not mark answers, a Qwen2 with one that TRL knows, and a GPT-2 without any.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CONTEXT = 1024
PLAIN = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}{{ eos_token }}"
    "{% else %}[{{ m.role }}] {{ m.content }}{% endif %}{% endfor %}"
)
"""A template that ends an answer with the end token, as Mistral's do."""


def write_llama(folder: Path, template: str | None = PLAIN) -> Path:
    """Its embedding and head have weights of their own, and no size of it is a multiple of 64."""
    tokenizer = _bytes(["<s>", "</s>"], bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=72, intermediate_size=100, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return _written(LlamaForCausalLM, config, tokenizer, folder)


def write_qwen2(folder: Path) -> Path:
    """Its template is the one of Qwen2.5, as TRL holds it."""
    from trl.chat_template_utils import qwen2_5_chat_template

    tokenizer = _bytes(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], pad_token="<|endoftext|>", eos_token="<|im_end|>"
    )
    tokenizer.chat_template = qwen2_5_chat_template
    config = Qwen2Config(
        vocab_size=320, hidden_size=64, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=CONTEXT, bos_token_id=None, eos_token_id=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    return _written(Qwen2ForCausalLM, config, tokenizer, folder)


def write_gpt2(folder: Path) -> Path:
    """It knows no chat, and counts positions with vectors that it learnt."""
    tokenizer = _bytes(["<|endoftext|>"], bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=1, n_head=2, n_positions=CONTEXT, bos_token_id=0, eos_token_id=0
    )
    return _written(GPT2LMHeadModel, config, tokenizer, folder)


def _bytes(special: list[str], **roles: str) -> PreTrainedTokenizerFast:
    """One token a byte, behind the special ones."""
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=core, **roles)


def _written(kind: type[PreTrainedModel], config, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Path:
    torch.manual_seed(0)
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
