"""A picture of a run: from the server's answer to a file beside the records, and to the pixels that are analysed."""

import base64
import hashlib
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from eval.completions import MALFORMED
from eval.replies import Drawn, NoAnswer
from serving.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"RIFF": ".webp"}
SIDES = range(32, 97)
"""Square pictures of so many pixels a side are analysed as they are, all others as `SIDE` x `SIDE`."""
SIDE = 64
FAINTEST = 8
"""Of 255: a picture whose values in every channel are no further apart shows nothing."""


def keep_picture(content: bytes, latency_s: float, folder: Path) -> Drawn:
    """Put the first picture of an answer to /images/generations into `folder`, whatever its bytes are.

    Raises `NoAnswer` for an answer of another shape, `UserError` when the file cannot be written.
    """
    try:
        data = base64.b64decode(json.loads(content)["data"][0]["b64_json"], validate=True)
    except MALFORMED:
        raise NoAnswer("the answer holds no picture (data[0].b64_json)") from None
    suffix = next((suffix for magic, suffix in SUFFIXES.items() if data.startswith(magic)), ".bin")
    file = folder / f"{hashlib.sha256(data).hexdigest()}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except OSError as error:
        raise UserError(
            f"The picture {file} cannot be written ({error}): "
            "make room there, then the same command with --out resumes."
        ) from None
    return Drawn(file, round(latency_s, 4))


@lru_cache(maxsize=4096)
def pixels(file: Path) -> "np.ndarray | None":
    """uint8 (px, px, 3); None where the bytes are no picture, or one that shows nothing at all.

    Raises `OSError` when there is no such file.
    """
    import numpy as np

    picture = opened(file.read_bytes())
    if picture is None:
        return None
    if picture.width != picture.height or picture.width not in SIDES:
        picture = picture.resize((SIDE, SIDE))
    found = np.asarray(picture)
    return found if np.ptp(found, axis=(0, 1)).max() > FAINTEST else None


def opened(data: bytes) -> "Image.Image | None":
    """The picture in RGB, on white where it is transparent; None where the bytes are none."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(data)).convert("RGBA")
    # Pillow's decoders raise whatever they stumble over.
    except Exception:
        return None
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
