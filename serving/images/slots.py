"""Slots: what paints the things of a picture, each with an outline and a colour of its own, wherever it stands.

A transformer that paints patch by patch learns an outline anew for every way in which patches can cut it. A slot says
separately what its thing looks like, how large it is, and how likely its middle is at every pixel; what is painted is
the outline spread over these places. In pure noise that is a haze, as the mean of all pictures is; the surer the place,
the sharper the outline, which is thus learnt once for all places. How well a place fits what is seen is computed, not
learnt: the outline is compared with the pixels that seem to have its colour, at all places at once. That a picture is
made of few things, each pasted at a place, is the assumption of Eslami et al. 2016, "Attend, Infer, Repeat"
(arXiv:1603.08575).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CELLS = 32
"""Cells along the square that holds an outline."""
USUAL_RADIUS = 1 / 6
"""Half the side of that square in units of the picture's, before anything is learnt."""
COARSE = 16
"""Squares along a picture: so exactly can a thing be expected before it is seen. Single pixels are learnt slowly."""
LEAST_NOISE = 0.3
"""Colours are taken to be known no better than so much noise allows."""
SUREST = 0.98
"""No pixel alone says more surely what it shows."""


class Painted(NamedTuple):
    """A picture (batch, 3, size, size); if slots painted it, where their things stand and what each covers.

    `places`: log-probabilities (batch, slots, size * size + 1). A place is the pixel to the lower right of a thing's
    middle, the last one stands for nowhere. `covered` (batch, slots, size, size): shares of the pixels.
    """

    picture: Tensor
    places: Tensor | None = None
    covered: Tensor | None = None


class SlotHead(nn.Module):
    """Paints one thing for each slot upon one colour, the first last: it may stand inside the second."""

    def __init__(self, count: int, dim: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.queries = nn.Parameter(torch.randn(count + 1, dim))  # the last one's colour is that of the background
        self.outline = nn.Linear(dim, CELLS**2)
        self.colour = nn.Linear(dim, 3)
        self.radius = nn.Linear(dim, 1)
        self.there = nn.Linear(dim, 1)
        self.expected = nn.Linear(dim, COARSE**2)
        self.trust = nn.Linear(dim, 1)
        self.overlaps = nn.Linear(dim, 1)
        nn.init.constant_(self.trust.bias, -2)

    def forward(self, x: Tensor, noisy: Tensor, time: Tensor, known: Tensor | None = None) -> Painted:
        """What `x` (batch, patches + queries, dim), the transformer's states of the `noisy` picture, say.

        In training the `known` places (batch, slots) are painted, those below 0 are not known. One slot after the other
        finds its place, since things of one look would else all stand where the first does.
        """
        told = x[:, -len(self.queries) :]
        slots, colours = told[:, :-1], self.colour(told).float()
        stencils = torch.fft.rfft2(torch.fft.ifftshift(self._stencils(slots), dim=(-2, -1)))
        there = self.there(slots).float()
        shown = self._shown(colours, there, noisy, time)
        free, places, covered = torch.ones_like(shown[:, :1]), [], []
        for slot, stencil in enumerate(stencils.split(1, dim=1)):
            here = slice(slot, slot + 1)
            places.append(self._places(slots[:, here], there[:, here], shown[:, here], free, stencil))
            likely = self._likely(places[-1], None if known is None else known[:, here])
            covered.append(self._from(torch.fft.rfft2(likely) * stencil))  # a convolution: the outline wherever it is
            free = free * (1 - covered[-1].detach())
        return Painted(over(colours, covered), torch.cat(places, dim=1), torch.cat(covered, dim=1))

    def _places(self, slots: Tensor, there: Tensor, shown: Tensor, free: Tensor, stencil: Tensor) -> Tensor:
        """Of `Painted`, for one slot: by what is expected, what pixels that are still `free` show, and the overlap."""
        fits, overlap = self._fits(shown * free, stencil), self._fits(1 - free, stencil) / self.size
        logits = self._expected(slots) + self.trust(slots).float().exp() * fits + self.overlaps(slots).float() * overlap
        within = functional.logsigmoid(there) + logits.log_softmax(-1)
        return torch.cat([within, functional.logsigmoid(-there)], dim=-1)

    def _from(self, spectra: Tensor) -> Tensor:
        return torch.fft.irfft2(spectra, s=(self.size, self.size))

    @torch.no_grad()
    def _fits(self, shown: Tensor, stencil: Tensor) -> Tensor:
        """The correlation of both: what a thing would cover of `shown` at each place (batch, 1, size * size)."""
        return self._from(torch.fft.rfft2(shown) * stencil.conj()).flatten(2)

    def _stencils(self, slots: Tensor) -> Tensor:
        """(batch, slots, size, size): how much of each pixel is covered by a thing in the middle of the picture."""
        outlines = self.outline(slots).float().sigmoid().unflatten(-1, (CELLS, CELLS))
        radius = self.radius(slots).float().exp() * self.size * USUAL_RADIUS
        resize = resizing(radius, self.size)
        return (resize @ outlines @ resize.mT).float()

    @torch.no_grad()
    def _shown(self, colours: Tensor, there: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        """Log-odds that a pixel shows the thing of a slot (batch, slots, size, size), by its colour alone: Bayes' rule.

        The noise is normal, so what all likelihoods have in common, the square of the noisy colour, is left out.
        """
        clear = 1 - time[:, None, None, None]
        length = colours.square().sum(-1)[..., None, None]
        alike = torch.einsum("bchw,bsc->bshw", noisy, colours).float() - clear / 2 * length
        likelihood = alike * clear / ((1 - clear) ** 2 + LEAST_NOISE**2)
        prior = functional.logsigmoid(functional.pad(there, (0, 0, 0, 1), value=torch.inf))[..., None]
        return (likelihood + prior).softmax(1)[:, :-1].clamp(1 - SUREST, SUREST).logit()

    def _expected(self, slots: Tensor) -> Tensor:
        """Logits (batch, slots, size * size) of about where each thing is, by the caption and the state of the rest."""
        squares = self.expected(slots).float().unflatten(-1, (COARSE, COARSE))
        return functional.interpolate(squares, size=self.size, mode="bilinear").flatten(2)

    def _likely(self, places: Tensor, known: Tensor | None) -> Tensor:
        """Probabilities (batch, slots, size, size), sure ones where the place is known."""
        likely = places.exp()
        if known is not None:
            sure = functional.one_hot(known.clamp(min=0), places.shape[-1]).to(likely)
            likely = torch.where((known >= 0)[..., None], sure, likely)
        return likely[..., :-1].unflatten(-1, (self.size, self.size))


def over(colours: Tensor, covered: list[Tensor]) -> Tensor:
    """The last of the `colours` (batch, slots + 1, 3), and over it the others where they have `covered` it."""
    *paints, picture = colours[..., None, None].unbind(1)
    for paint, share in zip(reversed(paints), reversed(covered), strict=True):
        picture = torch.lerp(picture, paint, share)
    return picture


def resizing(radius: Tensor, size: int) -> Tensor:
    """Matrices (..., size, CELLS) that scale `CELLS` to 2 `radius` pixels (..., 1), in the middle of `size` pixels.

    A pixel is the mean of the cells that it covers, or between the two nearest ones where it is smaller than a cell.
    """
    cells_a_pixel = CELLS / 2 / radius[..., None]
    middles = (torch.arange(size, device=radius.device)[:, None] + 0.5 - size / 2) * cells_a_pixel + CELLS / 2
    cells = torch.arange(CELLS, device=radius.device)
    wide = cells_a_pixel.clamp(min=1)
    common = torch.minimum(middles + wide / 2, cells + 1) - torch.maximum(middles - wide / 2, cells)
    return common.clamp(min=0) / wide
