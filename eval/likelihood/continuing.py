"""How texts go on by a model in this process: greedily, those of equally many tokens side by side."""

from collections.abc import Sequence

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from eval.likelihood.forward import portions
from eval.likelihood.split import NOT_FINITE
from eval.replies import Answer, NoAnswer
from eval.requests import Continue

AT_ONCE = 32


class _Watch(LogitsProcessor):
    """Sees whether a row's predictions are numbers: of a NaN greedy decoding makes the first token, without a word."""

    def __init__(self) -> None:
        self.broken: torch.Tensor | bool = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.broken = scores.isnan().any(-1) | self.broken
        return scores


def continuations(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, requests: Sequence[Continue], window: int
) -> list[Answer | NoAnswer]:
    """The replies in the order of the requests."""
    encoded = [tokenizer(request.text).input_ids for request in requests]
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(place)
    found: dict[int, Answer | NoAnswer] = {}
    for length, places in by_length.items():
        for batch in portions(places, lambda place: 1 / AT_ONCE):
            asked = [requests[place] for place in batch]
            most = max(request.max_tokens for request in asked)
            if not length or length + most > window:
                said = f"{length} tokens and {most} to come are not what the model reads at once ({window})"
                found |= dict.fromkeys(batch, NoAnswer(said))
                continue
            rows = _continued(model, tokenizer, [encoded[place] for place in batch], asked)
            found |= zip(batch, rows, strict=True)
    return [found[place] for place in range(len(requests))]


def _continued(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Sequence[int]],
    asked: Sequence[Continue],
) -> list[Answer | NoAnswer]:
    """The replies to requests whose texts have equally many tokens."""
    ids, watch, end = torch.tensor(rows, device=model.device), _Watch(), tokenizer.eos_token_id
    most = max(request.max_tokens for request in asked)
    greedy = GenerationConfig(do_sample=False, max_new_tokens=most, eos_token_id=end, pad_token_id=end)
    with torch.inference_mode():
        written = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=greedy,
            logits_processor=LogitsProcessorList([watch]),
        )
    new = written[:, ids.shape[1] :].tolist()
    return [
        NoAnswer(NOT_FINITE) if broken else _answer(tokenizer, tokens[: request.max_tokens])
        for broken, tokens, request in zip(watch.broken.tolist(), new, asked, strict=True)
    ]


def _answer(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> Answer:
    end = tokenizer.eos_token_id
    kept = tokens[: tokens.index(end)] if end in tokens else tokens
    reason = "length" if len(kept) == len(tokens) else "stop"
    return Answer(tokenizer.decode(kept), finish_reason=reason, completion_tokens=len(kept))
