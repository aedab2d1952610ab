"""Log-likelihoods of pieces by a causal model, reading what pieces share once: a common preamble, then each context,
then all continuations of a context side by side on copies of its keys and values.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from eval.likelihood.split import Piece

T = TypeVar("T")
Tokens = tuple[int, ...]

READ_AT_ONCE = 4096
"""Tokens of contexts in one batch."""
KEPT_AT_ONCE = 2**12
"""Tokens whose keys and values are held at once: measured on a CPU, four times as many took half as long again."""
LOGITS_AT_ONCE = 2**24
"""Numbers: positions times vocabulary."""
PREAMBLE = 24
"""Contexts that begin with so many equal tokens are read together, after the beginning that they all share."""
SMALL = 5_000_000
"""Parameters below which one thread computes: measured on two busy cores, two of them took five times as long."""


@dataclass(frozen=True)
class Read:
    """What a batch of rows has read so far. `real` [rows, columns] is 0 where a row was padded."""

    cache: DynamicCache | None
    real: torch.Tensor

    def rows(self, places: Sequence[int]) -> "Read":
        """A copy of these rows, any of them as often as wanted, that can be read on from."""
        places = torch.tensor(places, device=self.real.device)
        kept = [(layer.keys[places], layer.values[places]) for layer in self.cache.layers] if self.cache else None
        return Read(DynamicCache(kept) if kept else None, self.real[places])


class Forward:
    """A model made ready to score. One whose memory is not plain keys and values reads every piece from its start."""

    def __init__(self, model: PreTrainedModel):
        self._model, self._device = model, model.device
        self._parameters = inspect.signature(model.forward).parameters
        self._is_small = model.num_parameters() < SMALL
        self._shares = self._can_share()

    @torch.inference_mode()
    def logprobs(self, pieces: Iterable[Piece]) -> dict[Piece, list[float]]:
        """The log-probability of every token of each piece's continuation after its context."""
        found: dict[Piece, list[float]] = {}
        by_context: dict[Tokens, list[Piece]] = {}
        for piece in sorted(pieces):
            by_context.setdefault(piece.context, []).append(piece)
        with _threads(1 if self._is_small else torch.get_num_threads()):
            for contexts in self._batches(by_context):
                found |= self._score({context: by_context[context] for context in contexts})
        return found

    def _batches(self, contexts: Collection[Tokens]) -> Iterator[list[Tokens]]:
        """Contexts that are read together: of one preamble, and of much the same length."""
        kin = Counter(context[:PREAMBLE] for context in contexts)
        pools: dict[Tokens, list[Tokens]] = {}
        for context in contexts:
            beginning = context[:PREAMBLE]
            shares = len(context) > PREAMBLE and kin[beginning] > 2
            # A lone token is read with its continuations: before it is nothing that it could share with the others.
            pools.setdefault(beginning if shares or len(context) == 1 else (), []).append(context)
        for pool in pools.values():
            yield from portions(sorted(pool, key=len), lambda context: len(context) / READ_AT_ONCE)

    def _score(self, batch: Mapping[Tokens, Sequence[Piece]]) -> dict[Piece, list[float]]:
        heads = [context[:-1] if self._shares else () for context in batch]
        read, found = self._read(heads), {}
        rows = [(row, piece) for row, own in enumerate(batch.values()) for piece in own]

        def cost(entry: tuple[int, Piece]) -> float:
            row, piece = entry
            return self._cost(read.real.shape[1], len(piece.context) - len(heads[row]) + len(piece.continuation) - 1)

        for part in portions(sorted(rows, key=cost), cost):
            found |= self._continue(read, part, heads)
        return found

    def _read(self, heads: Sequence[Tokens]) -> Read:
        shared = common_prefix(heads)
        read = Read(None, torch.zeros(1, 0, dtype=torch.long, device=self._device))
        if shared:
            read, _ = self._read_on(read, [heads[0][:shared]], 1)
        read = read.rows([0] * len(heads))
        rests = [head[shared:] for head in heads]
        return self._read_on(read, rests, 1)[0] if any(rests) else read

    def _continue(
        self, read: Read, part: Sequence[tuple[int, Piece]], heads: Sequence[Tokens]
    ) -> dict[Piece, list[float]]:
        """Read what is left of each piece but for its last token, and look up what was predicted at every step."""
        pieces = [piece for _, piece in part]
        rows = [piece.context[len(heads[row]) :] + piece.continuation[:-1] for row, piece in part]
        _, logits = self._read_on(read.rows([row for row, _ in part]), rows, 0)
        lengths = [len(piece.continuation) for piece in pieces]
        at_row = torch.repeat_interleave(torch.arange(len(pieces)), torch.tensor(lengths))
        at_column = torch.cat([torch.arange(len(row) - n, len(row)) for row, n in zip(rows, lengths, strict=True)])
        targets = torch.tensor([token for piece in pieces for token in piece.continuation], device=self._device)
        predicted = logits[at_row.to(self._device), at_column.to(self._device)].float().log_softmax(-1)
        logprobs = predicted.gather(1, targets[:, None])[:, 0].double().cpu()
        return {piece: own.tolist() for piece, own in zip(pieces, logprobs.split(lengths), strict=True)}

    def _read_on(self, read: Read, rows: Sequence[Tokens], logits_to_keep: int) -> tuple[Read, torch.Tensor]:
        """Let each row read on, padded on the right: padding is never seen, and never the last thing that is read."""
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self._device)
        own = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device)
        real = torch.cat([read.real, own], dim=1)
        inputs = {"attention_mask": real, "past_key_values": read.cache, "use_cache": self._shares}
        if "position_ids" in self._parameters:
            inputs["position_ids"] = (real.cumsum(1) - 1).clamp(min=0)[:, -width:]
        if "logits_to_keep" in self._parameters:
            inputs["logits_to_keep"] = logits_to_keep
        output = self._model(input_ids=ids, **inputs)
        return Read(output.past_key_values if self._shares else None, real), output.logits

    def _cost(self, columns: int, width: int) -> float:
        """The share of a batch that a row takes, by the keys and values that it holds, and by its logits."""
        vocabulary = self._model.config.get_text_config().vocab_size
        return max((columns + width) / KEPT_AT_ONCE, width * vocabulary / LOGITS_AT_ONCE)

    @torch.inference_mode()
    def _can_share(self) -> bool:
        if not {"past_key_values", "position_ids"} <= self._parameters.keys():
            return False
        cache = self._model(input_ids=torch.zeros(1, 2, dtype=torch.long, device=self._device)).past_key_values
        return isinstance(cache, DynamicCache) and all(type(layer) is DynamicLayer for layer in cache.layers)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def common_prefix(rows: Sequence[Tokens]) -> int:
    """How many tokens all rows begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False)))


def portions(items: Iterable[T], cost: Callable[[T], float]) -> Iterator[list[T]]:
    """Consecutive items, ordered by rising cost, in lists that cost at most 1 if each item cost as much as the last."""
    part: list[T] = []
    for item in items:
        if part and (len(part) + 1) * cost(item) > 1:
            yield part
            part = []
        part.append(item)
    if part:
        yield part
