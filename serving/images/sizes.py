"""Which size a picture is drawn at, and how it becomes the size that was asked for."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Size = tuple[int, int]

# Sides that every latent model takes; the larger ones were trained on multiples of 64.
STEP, LARGE_STEP, LARGE_SIDE = 8, 64, 512
# Further from the area that it was trained for, a model draws noise or everything twice.
LEAST_AREA, MOST_AREA, LONGEST_SIDE = 0.25, 2.0, 2.0
# Shapes that differ by less are stretched unseen.
SAME_SHAPE = 1.03


def drawn_size(native: Size, wanted: Size | None, own: bool) -> Size:
    """The size to draw at for a picture of `wanted` (width, height): our `own` models know only their native one."""
    if own or wanted is None or wanted == native:
        return native
    area = native[0] * native[1]
    if not LEAST_AREA * area <= wanted[0] * wanted[1] <= MOST_AREA * area:
        scale = math.sqrt(area / (wanted[0] * wanted[1]))
        wanted = (wanted[0] * scale, wanted[1] * scale)
    step = LARGE_STEP if min(native) > LARGE_SIDE else STEP
    return _sides(wanted[0], native[0], step), _sides(wanted[1], native[1], step)


def _sides(wanted: float, native: int, step: int) -> int:
    return max(step, round(min(wanted, LONGEST_SIDE * native) / step) * step)


def resampled(picture: "Image.Image", size: Size) -> "Image.Image":
    """`picture` as `size`: stretched if its shape is nearly right, else whole, its edges drawn out to the sides."""
    from PIL import Image

    if picture.size == size:
        return picture
    ratio = (size[0] / size[1]) / (picture.width / picture.height)
    if max(ratio, 1 / ratio) <= SAME_SHAPE:
        return picture.resize(size, Image.Resampling.LANCZOS)
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS
    )
    return _with_edges_drawn_out(inner, size)


def _with_edges_drawn_out(picture: "Image.Image", size: Size) -> "Image.Image":
    """`picture` in the middle of `size`, around it the colours of its outermost pixels."""
    import numpy as np
    from PIL import Image

    room = (size[1] - picture.height, size[0] - picture.width)
    margins = [(space // 2, space - space // 2) for space in room]
    return Image.fromarray(np.pad(np.asarray(picture), [*margins, (0, 0)], mode="edge"))
