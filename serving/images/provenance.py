"""What every finished picture carries: who made it, from what words, written into the file and read back."""

import dataclasses
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from serving.images import c2pa, watermark, xmp
from serving.images.files import UnreadablePictureError, open_picture, parsing
from serving.version import VERSION

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

MAX_PROMPT_CHARACTERS = 3_000  # a JPEG's segments hold 64 kB
MAX_RECORD_BYTES = 65_000
# EXIF tags, and the eight bytes before a UserComment that say that it is ASCII.
IMAGE_DESCRIPTION, SOFTWARE, DATE_TIME, EXIF_IFD, USER_COMMENT = 0x010E, 0x0131, 0x0132, 0x8769, 0x9286
ASCII_COMMENT = b"ASCII\0\0\0"

Format = Literal["png", "jpeg", "webp"]


@dataclass(frozen=True)
class Origin:
    """Where a picture comes from. `created` is ISO 8601 in UTC; `native_size` is what the model drew, in px."""

    prompt: str
    model: str
    model_sha256: str
    seed: int
    created: str
    native_size: tuple[int, int]
    software: str = f"Homegrown {VERSION}"


def finished(picture: "Image.Image", origin: Origin, format: Format, compression: int = 100) -> bytes:
    """`picture` watermarked, labelled and encoded as RGB; `compression` is the quality of a jpeg or webp, 0 to 100.

    Only the first `MAX_PROMPT_CHARACTERS` of a prompt are written. Raises `UserError` when a C2PA certificate is set up
    that cannot be used.
    """
    picture = picture.convert("RGB")
    if watermark.fits(picture):
        picture = watermark.embed(picture)
    origin = _storable(origin)
    return c2pa.signed(_encoded(picture, origin, format, compression), format, origin)


def read_origin(data: bytes) -> Origin | None:
    """What a PNG, JPEG or WebP file says of its origin; None when it says nothing that can be understood."""
    try:
        picture = open_picture(data)
        return _from_record(_record(picture)) or _from_xmp(picture.info.get("xmp"))
    except UnreadablePictureError:
        return None


def _storable(origin: Origin) -> Origin:
    prompt = origin.prompt
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        prompt = prompt[: MAX_PROMPT_CHARACTERS - 1] + "…"
    return dataclasses.replace(origin, prompt=xmp.printable(prompt), model=xmp.printable(origin.model[:200]))


def _encoded(picture: "Image.Image", origin: Origin, format: Format, quality: int) -> bytes:
    file = io.BytesIO()
    if format == "png":
        picture.save(file, "PNG", pnginfo=_png_text(origin))
    else:
        subsampling = {"subsampling": 0} if format == "jpeg" else {}
        picture.save(file, format.upper(), quality=quality, exif=_exif(origin), xmp=_packet(origin), **subsampling)
    return file.getvalue()


def _packet(origin: Origin) -> bytes:
    width, height = origin.native_size
    fields = dataclasses.asdict(origin) | {"native_size": f"{width}x{height}"}
    return xmp.packet({name: str(value) for name, value in fields.items()})


def _png_text(origin: Origin) -> "PngInfo":
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_itxt("Description", origin.prompt)
    text.add_itxt("Software", origin.software)
    text.add_itxt("Creation Time", origin.created)
    text.add_itxt("Comment", json.dumps(dataclasses.asdict(origin)))
    text.add_itxt("XML:com.adobe.xmp", _packet(origin).decode())
    return text


def _exif(origin: Origin) -> "Image.Exif":
    from PIL import Image

    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = origin.prompt.encode()
    exif[SOFTWARE] = origin.software
    exif[DATE_TIME] = origin.created[:19].replace("-", ":").replace("T", " ")
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = ASCII_COMMENT + json.dumps(dataclasses.asdict(origin)).encode()
    return exif


def _record(picture: "Image.Image") -> bytes:
    """The origin as JSON, from where `_png_text` or `_exif` put it."""
    if picture.format == "PNG":
        comment = picture.info.get("Comment", "")
        return comment.encode() if isinstance(comment, str) else b""
    with parsing():
        comment = picture.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT, b"")
    return comment.removeprefix(ASCII_COMMENT) if isinstance(comment, bytes) else b""


def _from_record(record: bytes) -> Origin | None:
    from pydantic import TypeAdapter, ValidationError

    if not record or len(record) > MAX_RECORD_BYTES:
        return None
    try:
        return TypeAdapter(Origin).validate_json(record, strict=True)
    except ValidationError:
        return None


def _from_xmp(packet: object) -> Origin | None:
    from pydantic import TypeAdapter, ValidationError

    # Text of a PNG that its writer called "xmp" arrives here as well.
    fields = xmp.fields_of(packet) if isinstance(packet, bytes) else {}
    try:
        return TypeAdapter(Origin).validate_python({**fields, "native_size": fields.get("native_size", "").split("x")})
    except ValidationError:
        return None
