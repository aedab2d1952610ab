"""Several answers to one prompt: sampled, and their likelihoods, with the prompt read only once.

In reinforcement learning most tokens are those of prompts, the same for a whole group of answers. Their keys and values
are computed once a group and looked at by every answer; answers that have ended cost nothing any more. On a CPU a step
of a small model is four times as fast this way (`benchmarks/answers.py`) as TRL's own, which reads the prompt again for
every answer.
"""

import torch
from torch.nn.functional import softmax
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

SPARE = 0.75
"""Rows are dropped from the cache, which copies the others, when this share of them or less is still being written."""


@torch.no_grad()
def answer(
    model: PreTrainedModel, prompts: list[list[int]], longest: int, end: int, pad: int, temperature: float = 0.0
) -> list[list[int]]:
    """Token ids of an answer to every prompt, `longest` tokens at most, the token `end` included.

    With temperature 0 the likeliest token is taken each time, else one is drawn with torch's generator.
    """
    device = model.device
    once = {tuple(prompt): place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    ids, mask = _left_padded(list(once), pad, device)
    output = model(input_ids=ids, attention_mask=mask, use_cache=True, logits_to_keep=1)
    cache, group = output.past_key_values, torch.tensor([once[tuple(prompt)] for prompt in prompts], device=device)
    cache.batch_select_indices(group)
    mask, logits = mask[group], output.logits[group, -1]
    answers: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts), device=device)  # which answer a row of the cache is
    while True:
        tokens = _next(logits, temperature)
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            if not answers[row] or answers[row][-1] != end:
                answers[row].append(token)
        writing = torch.tensor([answers[row][-1] != end for row in rows.tolist()], device=device)
        if not writing.any() or max(map(len, answers)) == longest:
            return answers
        if writing.sum() <= SPARE * len(rows):
            kept = writing.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            rows, mask, tokens = rows[kept], mask[kept], tokens[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        output = model(input_ids=tokens[:, None], attention_mask=mask, past_key_values=cache, use_cache=True)
        logits = output.logits[:, -1]


def log_probabilities(
    model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, answer_tokens: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the last `answer_tokens` tokens of every row, and the entropies where they were chosen.

    `ids` and `mask` (rows, tokens): prompts padded on the left, answers on the right. Both results have the shape
    (rows, answer_tokens). Gradients flow through the prompts too.
    """
    prompts, answers = ids[:, :-answer_tokens], ids[:, -answer_tokens:]
    unique, group = torch.unique(prompts, dim=0, return_inverse=True)
    one_of = torch.zeros(len(unique), dtype=torch.long, device=ids.device).scatter(
        0, group, torch.arange(len(ids), device=ids.device)
    )
    read = model(input_ids=unique, attention_mask=mask[one_of, :-answer_tokens], use_cache=True, logits_to_keep=1)
    cache, logits = read.past_key_values, read.logits[group]
    if answer_tokens > 1:
        cache.batch_select_indices(group)
        written = model(input_ids=answers[:, :-1], attention_mask=mask[:, :-1], past_key_values=cache, use_cache=True)
        logits = torch.cat([logits, written.logits], dim=1)
    scores = (logits.float() / temperature).log_softmax(-1)
    with torch.no_grad():
        entropies = -(scores.exp() * scores).sum(-1)
    return scores.gather(-1, answers[..., None])[..., 0], entropies


def after_shared_beginning(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> ModelOutput:
    """The model's output for what stands behind the beginning that all rows (rows, tokens) have, which is read once.

    Rows are padded on the right. Gradients flow through the beginning too.
    """
    same = (ids == ids[:1]).all(0) & mask.bool().all(0)
    shared = min(int(same.long().cumprod(0).sum()), ids.shape[1] - 1)
    if shared == 0:
        return model(input_ids=ids, attention_mask=mask)
    cache = model(input_ids=ids[:1, :shared], attention_mask=mask[:1, :shared], use_cache=True).past_key_values
    cache.batch_repeat_interleave(len(ids))
    return model(input_ids=ids[:, shared:], attention_mask=mask, past_key_values=cache, use_cache=True)


def _next(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    return torch.multinomial(softmax(logits.float() / temperature, dim=-1), 1)[:, 0]


def _left_padded(prompts: list[tuple[int, ...]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
