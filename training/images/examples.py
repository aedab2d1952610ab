"""What an image model is trained on: example by example, each a function of the seed and its number alone.

So a run that was killed goes on with the very examples that it would have seen, noise included, and on any number of
processes.
"""

import random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import Dataset

from training.images.section import ImagesSection
from training.images.sources import Pictures

UNKNOWN = -100
"""The place of a thing of which nobody knows where it stands."""


class Examples(Dataset):
    """`count` training examples, mixed from `sources` by weight; those of another `name` are others."""

    def __init__(self, section: ImagesSection, sources: list[Pictures], seed: int, count: int, name: str) -> None:
        self.section, self.sources, self.seed, self.count, self.name = section, sources, seed, count, name
        self.weights = [source.weight for source in section.sources]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict:
        """`clean` and `noise` (3, size, size), `time` (), `weight` (size, size) and `caption`; what slots should say.

        That is `places` (slots), `UNKNOWN` also where there is no caption, and `covered` (slots, size, size).
        """
        rng = random.Random(f"{self.name} {self.seed} {number}")
        generator = torch.Generator().manual_seed(rng.getrandbits(63))
        drawn = rng.choices(self.sources, self.weights)[0].sample(rng, held_out=self.name == "validation")
        clean = torch.from_numpy(drawn.picture).permute(2, 0, 1) / 127.5 - 1
        noise, time = torch.randn(clean.shape, generator=generator), self._time(number, rng, generator)
        told = "" if rng.random() < self.section.empty_captions else drawn.caption
        return {
            "clean": clean,
            "noise": noise,
            "time": time,
            "weight": 1 + (self.section.thing_weight - 1) * torch.from_numpy(drawn.things).float(),
            "caption": told,
            **self._slots(drawn.each if told else None),
        }

    def _slots(self, each: list[tuple[int, int, np.ndarray]] | None) -> dict[str, Tensor]:
        slots, size = self.section.slots, self.section.size
        places = torch.full((slots,), UNKNOWN if each is None else size**2)
        covered = torch.zeros(slots, size, size)
        for slot, (column, row, share) in zip(range(slots), each or [], strict=False):
            places[slot] = row * size + column
            covered[slot] = torch.from_numpy(share)
        return {"places": places, "covered": covered}

    def _time(self, number: int, rng: random.Random, generator: torch.Generator) -> Tensor:
        """Mostly high noise: that is where the caption decides what will be seen.

        Even under much noise a patch shows its colour, so which thing stands where is learnt from noise alone; that
        comes first, outlines later.
        """
        if rng.random() < self.section.pure_noise * (1 - number / self.count):
            return torch.ones(())
        return torch.sigmoid(self.section.noise_mean + self.section.noise_std * torch.randn((), generator=generator))


class Collate:
    """Puts examples together to a batch; captions become token ids (batch, words), the shorter ones padded."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.words = tokenizer

    def __call__(self, examples: list[dict]) -> dict[str, Tensor]:
        batch = {
            name: torch.stack([example[name] for example in examples])
            for name in ("clean", "noise", "weight", "time", "places", "covered")
        }
        encoded = self.words.encode_batch([example["caption"] for example in examples])
        return batch | {"ids": torch.tensor([encoding.ids for encoding in encoded])}
