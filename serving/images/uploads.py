"""Pictures that come with a request, decoded and made to fit what is drawn."""

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.api.errors import ApiError
from serving.images.files import UnreadablePictureError, decode, open_picture
from serving.images.request import MAX_SIDE, DrawRequest
from serving.images.sizes import Size

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Upload:
    """A picture to start from, and a mask of the same size that is 255 where it is drawn anew (None: everywhere)."""

    image: "Image.Image"
    mask: "Image.Image | None"

    @property
    def size(self) -> Size:
        """The size that the result has unless another is asked for."""
        return self.image.size

    def fitted(self, size: Size) -> tuple["Image.Image", "Image.Image | None"]:
        """Both as `size`. They are stretched, so that what is drawn can be stretched back onto them."""
        from PIL import Image

        image = self.image.resize(size, Image.Resampling.LANCZOS)
        return image, self.mask and self.mask.resize(size, Image.Resampling.BILINEAR)

    def merged(self, drawn: "Image.Image", size: Size) -> "Image.Image":
        """What was drawn, as `size`; with a mask, the picture itself where that is black."""
        from PIL import Image

        drawn = drawn.resize(size, Image.Resampling.LANCZOS)
        if self.mask is None:
            return drawn
        image, mask = self.fitted(size)
        return Image.composite(drawn, image, mask)


def read_upload(request: DrawRequest) -> Upload | None:
    """The pictures of `request`. Raises `ApiError` (400) when they cannot be used."""
    from PIL import Image

    if request.image is None:
        return None
    picture = _picture(request.image, "image")
    image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    mask = None
    if request.mask is not None:
        mask = _mask(_picture(request.mask, "mask"))
        if mask.size != image.size:
            sizes = f"{mask.width}x{mask.height}, the image {image.width}x{image.height}"
            raise _refusal("mask", f"it has {sizes} pixels")
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        mask = mask and mask.resize(image.size)
    return Upload(image, mask)


def _picture(encoded: str, param: str) -> "Image.Image":
    """The picture, upright and as RGBA."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(decode(open_picture(base64.b64decode(encoded, validate=True)), "RGBA"))
    except binascii.Error:
        raise _refusal(param, "it is no base64") from None
    except UnreadablePictureError as error:
        raise _refusal(param, str(error)) from None
    except Exception:  # Pillow's parser of EXIF raises nearly anything on a hostile file
        raise _refusal(param, "its metadata are damaged") from None


def _mask(picture: "Image.Image") -> "Image.Image":
    """255 where it is transparent or, without transparency, white."""
    from PIL import ImageOps

    alpha = picture.getchannel("A")
    return picture.convert("L") if alpha.getextrema() == (255, 255) else ImageOps.invert(alpha)


def _refusal(param: str, reason: str) -> ApiError:
    return ApiError(400, f"The {param} cannot be used: {reason}.", param=param, code=f"invalid_{param}_file")
