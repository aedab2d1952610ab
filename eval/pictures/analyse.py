"""Finds the things in a picture: what colour each has, where it is, and which pixels are its own."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from eval.pictures.palette import PALETTE

CONTRAST = 45
"""The least distance in sRGB between a thing and what it stands on."""
FLAT = 55
"""The widest range of a colour channel within 3 x 3 pixels of one colour; across an edge it is wider."""
FLAWED = 0.2
"""A thing has one colour if less than this share of it has another."""
SPECK = 1 / 150
"""What covers less of the picture is no thing."""
TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Found:
    """One thing: `pixels` bool (px, px), those of things upon it included; centroid in units of the picture's width.

    `colour` is None where a fifth of it or more is of another.
    """

    colour: str | None
    pixels: np.ndarray
    x: float
    y: float


def analyse(picture: np.ndarray, colours: tuple[str, ...]) -> tuple[str, list[Found]]:
    """The background and the things, the largest first; a picture is uint8 (px, px, 3), a colour one of `colours`."""
    analysis = _Analysis(picture.astype(np.float32), colours)
    ground = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]), axis=0)
    found = analysis.things_on(ground, np.ones(picture.shape[:2], bool))
    return analysis.name(ground), sorted(found, key=lambda thing: -thing.pixels.sum())


class _Analysis:
    def __init__(self, picture: np.ndarray, colours: tuple[str, ...]):
        self._picture = picture
        self._colours = colours
        self._paints = np.array([PALETTE[colour] for colour in colours], np.float32)
        widest = ndimage.maximum_filter(picture, (3, 3, 1)) - ndimage.minimum_filter(picture, (3, 3, 1))
        self._flat = widest.max(-1) < FLAT

    def name(self, paint: np.ndarray) -> str:
        return self._colours[int(self._nearest(paint))]

    def things_on(self, ground: np.ndarray, region: np.ndarray) -> list[Found]:
        """The things in a region that is painted with `ground`, and those upon them."""
        found = []
        from_ground = self._distance(ground)
        for lump in _lumps(region & (from_ground > CONTRAST)):
            paint = self._paint(lump, from_ground)
            own = lump & (self._distance(paint) < from_ground)
            strange = self._from_blend(paint, ground) > CONTRAST
            upon = self._things_upon(lump, paint, ground)
            for thing in upon:
                covered = ndimage.binary_dilation(thing.pixels, TOUCHING)
                strange &= ~covered
                own = _without(own, covered)
            for piece in _lumps(own):
                found.append(_found(self.name(paint) if strange[piece].mean() < FLAWED else None, piece))
            found += upon
        return found

    def _things_upon(self, lump: np.ndarray, paint: np.ndarray, ground: np.ndarray) -> list[Found]:
        """Things of other colours in a lump, apart from the blends at its rim."""
        # The blend of a thing and what it stands upon can look like the ground; closing mends such a gap.
        within = ndimage.binary_erosion(ndimage.binary_closing(lump, TOUCHING), TOUCHING)
        blended = within & ~ndimage.binary_erosion(within, TOUCHING)
        return [
            thing
            for thing in self.things_on(paint, within)
            if thing.colour not in (self.name(paint), self.name(ground))
            and ((thing.pixels & self._flat).any() or not (thing.pixels & blended).any())
        ]

    def _paint(self, lump: np.ndarray, from_ground: np.ndarray) -> np.ndarray:
        """The colour of most of the lump's flat parts; thin lines have none: of what differs most from the ground."""
        sure = lump & self._flat
        if not sure.any():
            sure = lump & (from_ground >= np.percentile(from_ground[lump], 80))
        pixels = self._picture[sure]
        names = self._nearest(pixels)
        return np.median(pixels[names == np.bincount(names).argmax()], axis=0)

    def _distance(self, paint: np.ndarray) -> np.ndarray:
        return np.sqrt(((self._picture - paint) ** 2).sum(-1))

    def _from_blend(self, paint: np.ndarray, ground: np.ndarray) -> np.ndarray:
        """The distance from the nearest blend of the two."""
        span = paint - ground
        share = ((self._picture - ground) @ span / max(span @ span, 1)).clip(0, 1)
        return np.sqrt(((self._picture - ground - share[..., None] * span) ** 2).sum(-1))

    def _nearest(self, pixels: np.ndarray) -> np.ndarray:
        return ((pixels[..., None, :] - self._paints) ** 2).sum(-1).argmin(-1)


def _lumps(drawn: np.ndarray) -> Iterator[np.ndarray]:
    """What hangs together, without specks."""
    lumps, count = ndimage.label(drawn, TOUCHING)
    sizes = np.bincount(lumps.ravel(), minlength=count + 1)
    return (lumps == number for number in range(1, count + 1) if sizes[number] >= SPECK * drawn.size)


def _without(own: np.ndarray, upon: np.ndarray) -> np.ndarray:
    """What merely touches a thing is no part of it; around what stands upon it the thing is closed."""
    left = own & ~upon
    return left | (ndimage.binary_fill_holes(left) & upon)


def _found(colour: str, pixels: np.ndarray) -> Found:
    y, x = (float(np.mean(at) + 0.5) / len(pixels) for at in np.nonzero(pixels))
    return Found(colour, pixels, x, y)
