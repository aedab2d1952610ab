"""The language model: transformers' Qwen3, sized by one dial."""

import functools
import types

import torch
from torch.nn.functional import cross_entropy, pad
from transformers import GenerationConfig, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from training.batches import IGNORED
from training.recipe import ModelSection
from training.shape import shape_of

COUNTED_AT_ONCE = 256  # positions: few different sizes, because a matrix product of a new size is prepared anew
PLAIN_HEADS = ("qwen3", "qwen2", "llama", "mistral", "smollm3")


def build_model(section: ModelSection, vocabulary: int, eos_token_id: int, pad_token_id: int) -> Qwen3ForCausalLM:
    """A model with random weights (from torch's global generator), in float32."""
    config = Qwen3Config(
        **shape_of(section),
        vocab_size=vocabulary,
        max_position_embeddings=section.context,
        rope_parameters={"rope_type": "default", "rope_theta": section.rope_theta},
        tie_word_embeddings=section.tie_embeddings,
        bos_token_id=None,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
        dtype="float32",
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=eos_token_id, pad_token_id=pad_token_id)
    return model


def skip_uncounted_logits(model: PreTrainedModel, compiled: bool = False) -> None:
    """Let `model(..., labels=...)` compute logits only where a label counts, and return the loss without them.

    In a small model the head is a quarter of the work, and in chat most positions do not count: a step with half of
    them counted is 20 % faster. `compiled` fuses what comes after the matrix product, which saves half to two thirds
    of the head's time on a CPU (benchmarks/head_loss.py). Models whose head is more than one matrix product keep
    their own forward.
    """
    if model.config.model_type not in PLAIN_HEADS:
        return
    original = model.forward
    summed = torch.compile(summed_loss, dynamic=True) if compiled else summed_loss

    @functools.wraps(type(model).forward)
    def forward(self, *args, labels=None, num_items_in_batch=None, **kwargs):
        if labels is None:
            return original(*args, **kwargs)
        hidden = self.base_model(*args, **kwargs).last_hidden_state.flatten(0, 1)
        targets = pad(labels[:, 1:], (0, 1), value=IGNORED).flatten()
        counted = (targets != IGNORED).nonzero().squeeze(1)
        filling = targets.new_zeros(-len(counted) % COUNTED_AT_ONCE)
        wanted = torch.cat([targets[counted], filling + IGNORED])
        loss = summed(self.get_output_embeddings(), hidden[torch.cat([counted, filling])], wanted)
        total = max(1, len(counted)) if num_items_in_batch is None else num_items_in_batch
        return CausalLMOutputWithPast(loss=loss / total)

    model.forward = types.MethodType(forward, model)


def summed_loss(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of `hidden` (positions, hidden) through `head` against `targets` (positions), added up."""
    return cross_entropy(head(hidden).float(), targets, reduction="sum")


def parameter_count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def flops_per_token(model: PreTrainedModel, row: int) -> float:
    """Floating-point operations of one training token: 6 a parameter of the matrices, plus attention over a row.

    The embedding is a table look-up and counts only as the output head.
    """
    config = model.config
    matrices = sum(p.numel() for name, p in model.named_parameters() if p.dim() == 2 and "embed_tokens" not in name)
    if config.tie_word_embeddings:
        matrices += config.vocab_size * config.hidden_size
    # Not every architecture says how wide its heads are: the others share the model's width.
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 6 * matrices + 12 * config.num_hidden_layers * config.num_attention_heads * width * row
