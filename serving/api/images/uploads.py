"""The pictures that come with a request to change one: which there are, and whether they may be opened at all."""

import base64

from serving.api.errors import ApiError
from serving.images.files import UnreadablePictureError, open_picture

NAMES = ("image", "mask")


def uploaded(files: dict[str, list[bytes]]) -> dict[str, str]:
    """A form's files as a `DrawRequest` holds them: `image`, and `mask` if there is one, in base64. Blocks.

    Of each picture only the header is read here, so that none is decoded that is too large.
    Raises `ApiError` 400 for pictures that are missing, several or unreadable.
    """
    pictures: dict[str, list[bytes]] = {}
    for field, sent in files.items():
        name = field.removesuffix("[]")  # as OpenAI's client sends a list
        if name not in NAMES:
            message = f"Unrecognized request argument supplied: {name[:100]}"
            raise ApiError(400, message, param=name[:100], code="unknown_parameter")
        pictures.setdefault(name, []).extend(sent)
    if "image" not in pictures:
        message = "Missing required parameter: 'image'."
        raise ApiError(400, message, param="image", code="missing_required_parameter")
    return {name: _readable(name, sent) for name, sent in pictures.items()}


def _readable(name: str, sent: list[bytes]) -> str:
    if len(sent) > 1:
        raise ApiError(400, f"`{name}` may be one picture, not {len(sent)}.", param=name, code="invalid_value")
    try:
        open_picture(sent[0])
    except UnreadablePictureError as error:
        message = f"The {name} cannot be used: {error}."
        raise ApiError(400, message, param=name, code=f"invalid_{name}_file") from None
    return base64.b64encode(sent[0]).decode()
