"""Several answers to one prompt: sampled, and their likelihoods, with the prompt read only once.

In reinforcement learning most tokens are those of prompts, the same for a whole group of answers, and most of a prompt
is the system prompt that all of them begin with. What all share is computed once, the rest of a prompt once a group,
and every answer looks at both. Answers that have ended cost nothing any more, and those of like length are read
together, so that little of what is read is padding. What is trained on given answers reads the shared beginning once
as well (`behind`, `rewards_behind_beginning`). `benchmarks/answers.py` has the gain over TRL's own way, which
reads the prompt again for every answer and every answer to the length of the longest.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from itertools import takewhile

import torch
from torch.nn.functional import pad, softmax
from transformers import Cache, DynamicCache, PreTrainedModel

from training.alignment.roomy_cache import roomy_cache

SPARE = 0.75
"""Rows are dropped from the cache, which copies the others, when this share of them or less is still being written."""

AT_ONCE = 64
"""Rows of like length that are read together."""


@torch.no_grad()
def answer(
    model: PreTrainedModel, prompts: list[list[int]], longest: int, end: int, pad_id: int, temperature: float = 0.0
) -> list[list[int]]:
    """Token ids of an answer to every prompt, `longest` tokens at most, the token `end` included.

    With temperature 0 the likeliest token is taken each time, else one is drawn with torch's generator.
    """
    distinct, group = _distinct(prompts)
    group = torch.tensor(group, device=model.device)
    cache, mask, logits = _read(model, distinct, pad_id, roomy_cache(_innermost(model).config))
    cache.batch_select_indices(group)
    mask, logits = mask[group], logits[group]
    answers: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts), device=model.device)  # which answer a row of the cache is
    while True:
        tokens = _next(logits, temperature)
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            if not answers[row] or answers[row][-1] != end:
                answers[row].append(token)
        writing = torch.tensor([answers[row][-1] != end for row in rows.tolist()], device=model.device)
        if not writing.any() or max(map(len, answers)) == longest:
            return answers
        if writing.sum() <= SPARE * len(rows):
            kept = writing.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            rows, mask, tokens = rows[kept], mask[kept], tokens[kept]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        logits = _go_on(model, tokens[:, None], mask, cache)[:, -1]


def log_probabilities(
    model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, answer_tokens: int, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the last `answer_tokens` tokens of every row, and the entropies where they were chosen.

    `ids` and `mask` (rows, tokens): prompts padded on the left, answers on the right. Both results have the shape
    (rows, answer_tokens), and 0 for padding. Gradients flow through the prompts too.
    """
    whole = zip(ids[:, :-answer_tokens], mask[:, :-answer_tokens].bool(), strict=True)
    distinct, group = _distinct([row[seen].tolist() for row, seen in whole])
    group = torch.tensor(group, device=ids.device)
    cache, read, last = _read(model, distinct, 0, DynamicCache(config=_innermost(model).config))
    answers, written = ids[:, -answer_tokens:], mask[:, -answer_tokens:]
    order, parts = [], []
    for rows in _of_like_length(written.sum(1)):
        width = max(1, int(written[rows].sum(1).max()))
        of, seen = group[rows], written[rows, :width]
        logits = last[of, None]
        if width > 1:
            before = torch.cat([read[of], seen[:, :-1]], dim=1)
            further = _go_on(model, answers[rows, : width - 1], before, _of_rows(cache, of), keep=0)
            logits = torch.cat([logits, further], dim=1)
        found = _chosen(logits.float() / temperature, answers[rows, :width])
        order.append(rows)
        parts.append([pad(values * seen, (0, answer_tokens - width)) for values in found])
    place = torch.cat(order).argsort()
    return tuple(torch.cat(values)[place] for values in zip(*parts, strict=True))


def rewards_behind_beginning(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What a reward model says of every row, (rows, 1); the beginning that all rows have is read once.

    `ids` and `mask` (rows, tokens), padded on the right. Gradients flow through the beginning too.
    """
    lengths = mask.sum(1)
    same = (ids == ids[:1]).all(0).long().cumprod(0).sum()
    shared = min(int(same), int(lengths.min()) - 1)
    cache = model(input_ids=ids[:1, :shared], use_cache=True).past_key_values if shared else None
    order, parts = [], []
    for rows in _of_like_length(lengths):
        width = int(lengths[rows].max())
        remembered = _of_rows(cache, torch.zeros_like(rows)) if cache else None
        output = model(
            input_ids=ids[rows, shared:width],
            attention_mask=mask[rows, :width],
            past_key_values=remembered,
            use_cache=shared > 0,
        )
        order.append(rows)
        parts.append(output.logits)
    return torch.cat(parts)[torch.cat(order).argsort()]


@contextmanager
def behind(beginning: torch.Tensor, *models: torch.nn.Module) -> Iterator[None]:
    """While the block runs, these models read every row (rows, tokens) as if `beginning` (1, tokens) stood before it.

    Rows are padded on the right. Gradients flow through the beginning too.
    """

    def read_beginning(backbone: torch.nn.Module, args: tuple, options: dict) -> tuple[tuple, dict]:
        if options["use_cache"]:  # it is the beginning that is being read
            return args, options
        cache = backbone(input_ids=beginning, use_cache=True).past_key_values
        mask = options["attention_mask"]
        cache.batch_repeat_interleave(len(mask))
        mask = torch.cat([mask.new_ones(len(mask), beginning.shape[1]), mask], dim=1)
        return args, options | {"past_key_values": cache, "attention_mask": mask}

    backbones = [_innermost(model).base_model for model in models]
    with ExitStack() as stack:
        for backbone in backbones:
            stack.callback(backbone.register_forward_pre_hook(read_beginning, with_kwargs=True).remove)
        yield


def _read(
    model: torch.nn.Module, prompts: Sequence[tuple[int, ...]], pad_id: int, cache: Cache
) -> tuple[Cache, torch.Tensor, torch.Tensor]:
    """What a model remembers of prompts, in the empty `cache`; their mask (prompts, tokens); the logits behind them."""
    device, shared = next(model.parameters()).device, 0
    if len(prompts) > 1 and _takes_positions(model):
        shared = min(_shared(prompts), min(map(len, prompts)) - 1)
    if shared:
        beginning = torch.tensor([prompts[0][:shared]], device=device)
        model(input_ids=beginning, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_select_indices(torch.zeros(len(prompts), dtype=torch.long, device=device))
    width = max(map(len, prompts))
    rest = [[pad_id] * (width - len(prompt)) + list(prompt[shared:]) for prompt in prompts]
    seen = [[1] * shared + [0] * (width - len(prompt)) + [1] * (len(prompt) - shared) for prompt in prompts]
    ids, mask = torch.tensor(rest, device=device), torch.tensor(seen, device=device)
    return cache, mask, _go_on(model, ids, mask, cache)[:, -1]


def _go_on(model: torch.nn.Module, ids: torch.Tensor, mask: torch.Tensor, cache: Cache, keep: int = 1) -> torch.Tensor:
    """Read `ids` (rows, tokens) behind `cache`; `mask` covers both. The logits of the last `keep` tokens, 0: of all."""
    positions = {}
    if _takes_positions(model):  # the mask may have holes, so they cannot be counted from the cache's length
        positions = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]}
    output = model(
        input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=keep, **positions
    )
    return output.logits


def _takes_positions(model: torch.nn.Module) -> bool:
    return "position_ids" in inspect.signature(_innermost(model).forward).parameters


def _innermost(model: torch.nn.Module) -> PreTrainedModel:
    """The model itself, which adapters and data parallelism wrap."""
    return next(module for module in model.modules() if isinstance(module, PreTrainedModel))


def _of_rows(cache: Cache, rows: torch.Tensor) -> Cache:
    """A cache with these rows of another one, which stays as it is."""
    selected = copy(cache)
    selected.layers = [copy(layer) for layer in cache.layers]
    selected.batch_select_indices(rows)
    return selected


def _of_like_length(lengths: torch.Tensor) -> Iterator[torch.Tensor]:
    """All rows, the shortest first, in groups."""
    return iter(lengths.argsort(stable=True).split(AT_ONCE))


def _distinct(prompts: Sequence[Sequence[int]]) -> tuple[list[tuple[int, ...]], list[int]]:
    """Every different prompt once, and which of them each prompt is."""
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(map(tuple, prompts)))}
    return list(places), [places[tuple(prompt)] for prompt in prompts]


def _shared(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with: those that the least and the greatest of them begin with."""
    pairs = zip(min(prompts), max(prompts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _chosen(scores: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of `tokens` (rows, tokens) and the entropies, from logits (rows, tokens, vocabulary)."""
    scores = scores.log_softmax(-1)
    with torch.no_grad():
        entropies = -(scores.exp() * scores).sum(-1)
    return scores.gather(-1, tokens[..., None])[..., 0], entropies


def _next(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    cumulated = softmax(logits.float() / temperature, dim=-1).cumsum(-1)  # torch.multinomial takes 20 times as long
    drawn = torch.rand(len(cumulated), 1, device=logits.device) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, drawn, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
