"""A cache of keys and values with room for what will be written.

transformers' own copies all of a layer's keys and values for each new token; where many prompts are answered at once on
a CPU, that is most of the work.
"""

import torch
from transformers import Cache, DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer


class RoomyLayer(DynamicLayer):
    """One layer's. It is written in place, so no gradient flows through it."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_, **__
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add keys and values (rows, heads, tokens, head_dim); returns all that there are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._rooms = key_states[:, :, :0], value_states[:, :, :0]
        self.keys, self.values = self._added(key_states, value_states)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows, with their room."""
        length = self.get_seq_length()
        self._rooms = tuple(room[indices] for room in self._rooms)
        self.keys, self.values = (room[:, :, :length] for room in self._rooms)

    def _added(self, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        start = self.get_seq_length()
        end = start + states[0].shape[2]
        if end > self._rooms[0].shape[2]:
            self._rooms = tuple(_with_room(room, start, end + end // 2) for room in self._rooms)
        for room, new in zip(self._rooms, states, strict=True):
            room[:, :, start:end] = new
        return tuple(room[:, :, :end] for room in self._rooms)


def roomy_cache(config: PreTrainedConfig) -> Cache:
    """An empty cache with room for a model all of whose layers attend, else transformers' own."""
    layers = set(getattr(config.get_text_config(), "layer_types", None) or ["full_attention"])
    if layers <= {"full_attention", "sliding_attention"}:
        return Cache(layer_class_to_replicate=RoomyLayer)
    return DynamicCache(config=config)


def _with_room(old: torch.Tensor, length: int, room: int) -> torch.Tensor:
    rows, heads, _, head_dim = old.shape
    new = old.new_empty(rows, heads, room, head_dim)
    new[:, :, :length] = old[:, :, :length]
    return new
