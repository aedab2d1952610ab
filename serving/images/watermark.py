"""An invisible watermark that says "generated here", and its detector, whose p-value holds for every picture.

Spread spectrum (Cox et al. 1997) on a canonical grid, so that scaling does not matter: keyed random signs in a band of
DCT coefficients of the luminance make a faint pattern. Under the null hypothesis the picture knows nothing of the
signs, so the detector's statistic is a weighted sum of fair coin flips, whatever the picture is.
"""

import hashlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

MIN_SIDE = 256
GRID = 256  # the canonical picture is GRID x GRID px
KEY = b"homegrown watermark 1"  # public: everyone can detect
# The band, as distances from the constant coefficient: below it pictures are busiest, above it codecs take most away.
LOWEST, HIGHEST = 8, 52
# Standard deviation of the pattern in grey levels on flat areas, tried from the weakest on; its growth with texture.
STRENGTHS = (0.5, 0.7, 1.0, 1.4, 1.9, 2.5)
BY_TEXTURE, MOST = 0.12, 3.2  # MOST everywhere would be a PSNR of 38 dB
WORN_P = 1e-8  # what must still be reached after half size and WebP of quality 75
LUMINANCE = (0.299, 0.587, 0.114)
# A weighted sum of fair coin flips exceeds t deviations with at most this many times the normal tail's probability
# (Bentkus and Dzindzalieta 2015).
COIN_FLIPS = 3.178


def fits(picture: "Image.Image") -> bool:
    """Whether `picture` is large enough to be marked."""
    return min(picture.size) >= MIN_SIDE


def embed(picture: "Image.Image") -> "Image.Image":
    """A copy of the RGB `picture` with the mark in it, as faint as it may be to survive what is done to pictures."""
    import numpy as np

    pixels = np.asarray(picture, np.float32)
    pattern = _resized(_pattern(), picture.size)
    texture = _resized(BY_TEXTURE * _texture(pixels), picture.size)
    for strength in STRENGTHS:
        marked = _added(pixels, pattern * np.minimum(strength + texture, MOST))
        if _survives(marked):
            break
    return marked


def _added(pixels: "np.ndarray", wanted: "np.ndarray") -> "Image.Image":
    """The picture with its luminance changed by `wanted`, as far as black and white allow."""
    import numpy as np
    from PIL import Image

    target = pixels @ np.float32(LUMINANCE) + wanted
    marked = pixels.copy()
    # Where a channel is full or empty, the others make up for it as far as they can.
    for _ in range(3):
        marked += (target - marked @ np.float32(LUMINANCE))[..., None]
        np.clip(marked, 0, 255, out=marked)
    return Image.fromarray(np.rint(marked).astype(np.uint8))


def detect(picture: "Image.Image") -> float:
    """The p-value of the mark: how often an unmarked picture would look at least this marked, or less often."""
    import numpy as np
    from scipy.special import ndtr

    luminance = np.asarray(picture.convert("L"), np.float32)
    values = _whitened(_resized(luminance, (GRID, GRID)))
    length = np.linalg.norm(values)
    if length == 0:
        return 1.0
    return float(min(1.0, COIN_FLIPS * ndtr(-float(_signs() @ values) / float(length))))


@cache
def _band() -> "np.ndarray":
    """Boolean (GRID, GRID): which DCT coefficients carry the mark."""
    import numpy as np

    distance = np.hypot(*np.ogrid[:GRID, :GRID])
    return (distance >= LOWEST) & (distance < HIGHEST)


@cache
def _signs() -> "np.ndarray":
    """+1 and -1, one for each coefficient of the band."""
    import numpy as np

    count = int(_band().sum())
    bits = np.frombuffer(hashlib.shake_256(KEY).digest(-(-count // 8)), np.uint8)
    return np.unpackbits(bits)[:count] * np.float32(2) - 1


@cache
def _pattern() -> "np.ndarray":
    """The mark on the canonical grid, of unit variance."""
    import numpy as np
    from scipy.fft import idctn

    spectrum = np.zeros((GRID, GRID), np.float32)
    spectrum[_band()] = _signs()
    pattern = idctn(spectrum, norm="ortho")
    return pattern / pattern.std()


def _survives(marked: "Image.Image") -> bool:
    """Whether the mark is found after half size, by two kinds of scaling, and WebP, which spares flat areas least."""
    from PIL import Image

    half = (marked.width // 2, marked.height // 2)
    filters = (Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)
    return all(detect(_compressed(marked.resize(half, filter))) < WORN_P for filter in filters)


def _compressed(picture: "Image.Image") -> "Image.Image":
    import io

    from PIL import Image

    file = io.BytesIO()
    picture.save(file, "WEBP", quality=75)
    return Image.open(file)


def _texture(pixels: "np.ndarray") -> "np.ndarray":
    """How busy each place of the canonical grid is, in grey levels: a busy one hides more of the mark."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    luminance = _resized(pixels @ np.float32(LUMINANCE), (GRID, GRID))
    return gaussian_filter(np.abs(luminance - gaussian_filter(luminance, 1.0)), 2.0)


def _whitened(luminance: "np.ndarray") -> "np.ndarray":
    """The band's coefficients, with the picture's own edges and spectrum evened out."""
    import numpy as np
    from scipy.fft import dctn
    from scipy.ndimage import gaussian_filter, uniform_filter

    detail = gaussian_filter(luminance, 0.7) - gaussian_filter(luminance, 3.0)
    variance = gaussian_filter(detail**2, 3.0)
    even = detail / (variance + 1)
    spectrum = dctn(even, norm="ortho")
    spectrum /= np.sqrt(uniform_filter(spectrum**2, 9)) + 1e-9
    return spectrum[_band()]


def _resized(values: "np.ndarray", size: tuple[int, int]) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))
