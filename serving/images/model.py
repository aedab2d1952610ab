"""The embedded image model: a caption encoder and a transformer that draws pixels, both grown from nothing.

Pixels instead of latents, because large patches and predicting the clean picture make a VAE unnecessary (Li & He 2025,
"Back to Basics: Let Denoising Generative Models Denoise", arXiv:2511.13720). Attention is written as two matrix
products: at these lengths that trains about half as fast again on CPUs as the fused kernel.
"""

import math
from typing import NamedTuple

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.loaders import PeftAdapterMixin
from torch import Tensor, nn
from torch.nn import functional

from serving.images.slots import Painted, SlotHead

PADDING = 0
MASKED = -1e4
TIME_FEATURES = 256
REACH = 3
"""How many words to the left and to the right are a word's neighbours."""


class Caption(NamedTuple):
    """An encoded caption: `states` (batch, words, dim), `bias` to add to attention scores, `pooled` (batch, dim)."""

    states: Tensor
    bias: Tensor
    pooled: Tensor


def rms_norm(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],))


class Attention(nn.Module):
    """Queries from `x`, keys and values from `context`; both normalised, with a learned sharpness per head."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.Linear(dim, dim, bias=False)
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(dim / heads)))
        nn.init.zeros_(self.to_out.weight)

    def forward(self, x: Tensor, context: Tensor, bias: Tensor | None = None) -> Tensor:
        query, key, value = self._heads(self.to_q(x)), self._heads(self.to_k(context)), self._heads(self.to_v(context))
        scale = self.sharpness / query.shape[-1]
        scores = ((rms_norm(query) * scale).to(value.dtype) @ rms_norm(key).to(value.dtype).mT).float()
        weights = (scores if bias is None else scores + bias).softmax(-1).to(value.dtype)
        return self.to_out((weights @ value).transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Twice linear with GELU between, four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x), approximate="tanh"))


class CaptionLayer(nn.Module):
    """One layer of the caption encoder.

    Words first take in their neighbours (Allen-Zhu 2025, "Physics of Language Models: Part 4.1", Canon layers): what
    is said of what is then known wherever in the caption it is said, and need not be learnt for every position.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.neighbours = nn.Conv1d(dim, dim, 2 * REACH + 1, padding=REACH, groups=dim, bias=False)
        self.attention = Attention(dim, heads)
        self.feed_forward = FeedForward(dim)
        nn.init.zeros_(self.neighbours.weight)

    def forward(self, x: Tensor, known: Tensor, bias: Tensor) -> Tensor:
        """`x` (batch, words, dim), `known` (batch, words, 1) 0 for padding, `bias` added to attention scores."""
        x = x + self.neighbours((rms_norm(x) * known).mT).mT
        normed = rms_norm(x)
        x = x + self.attention(normed, normed, bias)
        return x + self.feed_forward(rms_norm(x))


class CaptionEncoder(ModelMixin, ConfigMixin):
    """Token ids (batch, words), `PADDING` behind the shorter ones, to a `Caption`."""

    @register_to_config
    def __init__(self, vocab_size: int, dim: int = 128, depth: int = 1, heads: int = 4, max_length: int = 48) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, dim)
        self.positions = nn.Parameter(torch.randn(max_length, dim) / 2)
        self.layers = nn.ModuleList(CaptionLayer(dim, heads) for _ in range(depth))

    def forward(self, ids: Tensor) -> Caption:
        known = (ids != PADDING)[..., None]
        bias = torch.where(known, 0.0, MASKED).mT[:, None]
        x = self.tokens(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, known, bias)
        x = rms_norm(x)
        pooled = (x * known).sum(1) / known.sum(1)
        return Caption(x, bias, pooled)


class DrawingLayer(nn.Module):
    """Patches look at each other, then at the words; time and pooled caption modulate (adaLN-single, PixArt-alpha)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.words = Attention(dim, heads)
        self.feed_forward = FeedForward(dim)
        self.modulation = nn.Parameter(torch.zeros(6, 1, dim))

    def forward(self, x: Tensor, caption: Caption, shared: Tensor) -> Tensor:
        """`x` (batch, patches, dim), `shared` (6, batch, 1, dim)."""
        scale1, shift1, gate1, scale2, shift2, gate2 = shared + self.modulation[:, None]
        normed = rms_norm(x) * (1 + scale1) + shift1
        x = x + (1 + gate1) * self.attention(normed, normed)
        x = x + self.words(rms_norm(x), caption.states, caption.bias)
        return x + (1 + gate2) * self.feed_forward(rms_norm(x) * (1 + scale2) + shift2)


class PaletteHead(nn.Module):
    """Paints a patch with a few colours: says which they are, and how much of each is in every pixel.

    An outline is then the same whatever its colours are, so it is learnt from all of them; what a few colours cannot
    show, gradients and texture, is added plainly.
    """

    def __init__(self, dim: int, pixels: int, colours: int) -> None:
        super().__init__()
        self.count = colours
        self.shares = nn.Linear(dim, colours * pixels)
        self.colours = nn.Linear(dim, colours * 3)
        self.plain = nn.Linear(dim, 3 * pixels)
        for linear in (self.colours, self.plain):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, patches, dim) to (batch, patches, 3 * pixels)."""
        shares = self.shares(x).unflatten(-1, (self.count, -1)).softmax(-2)
        colours = self.colours(x).unflatten(-1, (3, self.count))
        return (colours @ shares.to(colours.dtype)).flatten(2) + self.plain(x)


class PixelTransformer(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Predicts the clean picture (batch, 3, sample_size, sample_size) in [-1, 1] from a noisy one at time 0 to 1.

    With `slots` it paints flat scenes only: so many things at most, each of one colour, upon one colour.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 48,
        patch_size: int = 8,
        dim: int = 128,
        depth: int = 6,
        heads: int = 4,
        palette: int = 4,
        slots: int = 0,
    ) -> None:
        super().__init__()
        self.patch_size, self.side = patch_size, sample_size // patch_size
        pixels = 3 * patch_size**2
        self.patches = nn.Linear(pixels, dim)
        self.register_buffer("positions", positions_2d(self.side, dim), persistent=False)
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.caption = nn.Linear(dim, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        self.layers = nn.ModuleList(DrawingLayer(dim, heads) for _ in range(depth))
        self.last_modulation = nn.Linear(dim, 2 * dim)
        self.head = SlotHead(slots, dim, sample_size) if slots else PaletteHead(dim, patch_size**2, palette)
        for linear in (self.modulation, self.last_modulation):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, noisy: Tensor, time: Tensor, caption: Caption) -> Tensor:
        return self.predict(noisy, time, caption).picture

    def predict(self, noisy: Tensor, time: Tensor, caption: Caption, known: Tensor | None = None) -> Painted:
        """The clean picture; with slots the things stand at `known` places, see `SlotHead`."""
        x = self.patches(self._to_patches(noisy)) + self.positions
        if self.config.slots:
            x = torch.cat([x, self.head.queries.expand(len(x), -1, -1)], dim=1)
        state = functional.silu(self.time(time_features(time)) + self.caption(caption.pooled))
        shared = self.modulation(state).unflatten(-1, (6, 1, -1)).transpose(0, 1)
        for layer in self.layers:
            x = layer(x, caption, shared)
        scale, shift = self.last_modulation(state)[:, None].chunk(2, -1)
        x = rms_norm(x) * (1 + scale) + shift
        if self.config.slots:
            return self.head(x, noisy, time, known)
        return Painted(self._to_picture(self.head(x).float()))

    def _to_patches(self, picture: Tensor) -> Tensor:
        """(batch, 3, size, size) to (batch, patches, pixels of a patch)."""
        return functional.pixel_unshuffle(picture, self.patch_size).flatten(2).transpose(1, 2)

    def _to_picture(self, patches: Tensor) -> Tensor:
        return functional.pixel_shuffle(patches.transpose(1, 2).unflatten(2, (self.side, self.side)), self.patch_size)


def positions_2d(side: int, dim: int) -> Tensor:
    """Sines and cosines of rows and columns (side * side, dim), at the scale of the patches so that they are seen."""
    frequencies = math.pi / 12 ** (torch.arange(dim // 4) / (dim // 4))
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return torch.cat([columns, rows], dim=2).flatten(0, 1)


def time_features(time: Tensor) -> Tensor:
    """Sinusoids of `time` (batch) in 0 to 1: (batch, TIME_FEATURES)."""
    frequencies = torch.exp(
        -math.log(1000) * torch.arange(TIME_FEATURES // 2, device=time.device) / (TIME_FEATURES / 2)
    )
    angles = 100 * time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
