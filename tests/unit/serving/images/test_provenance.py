"""What is written into pictures is read back; what strangers write into theirs does no harm."""

import dataclasses
import io
import random
from xml.sax.saxutils import quoteattr

import pytest
from PIL import Image

from serving.images import watermark, xmp
from serving.images.provenance import MAX_PROMPT_CHARACTERS, Origin, finished, read_origin

FORMATS = ("png", "jpeg", "webp")
ORIGIN = Origin("a red boat", "images", "ab" * 32, 7, "2026-11-21T19:00:00Z", (48, 48))
SMALL = Image.effect_noise((96, 64), 40).convert("RGB")


def saved(format: str, **metadata: object) -> bytes:
    file = io.BytesIO()
    SMALL.save(file, format, **metadata)
    return file.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_the_origin_comes_back(format: str) -> None:
    data = finished(SMALL, ORIGIN, format)
    assert read_origin(data) == ORIGIN
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.size, picture.mode) == (format.upper(), SMALL.size, "RGB")
    assert (
        b'DigitalSourceType rdf:resource="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"'
        in data
    )


@pytest.mark.parametrize("format", FORMATS)
def test_what_common_viewers_show(format: str) -> None:
    picture = Image.open(io.BytesIO(finished(SMALL, ORIGIN, format)))
    if format == "png":
        assert picture.info["Description"] == "a red boat"
        assert picture.info["Software"] == ORIGIN.software
    else:
        exif = picture.getexif()
        assert [exif[tag] for tag in (0x010E, 0x0131, 0x0132)] == ["a red boat", ORIGIN.software, "2026:11:21 19:00:00"]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "prompt",
    ['<x y="1">&amp;</x> ]]> "quoted" \'too\'', "ein böses Wörtchen\r\nand\ta 🚤 ☀️ 船", "\u202eright to left", "-->"],
)
def test_any_words_come_back(format: str, prompt: str) -> None:
    origin = dataclasses.replace(ORIGIN, prompt=prompt)
    assert read_origin(finished(SMALL, origin, format)) == origin


@pytest.mark.parametrize("format", FORMATS)
def test_prompts_that_no_file_can_hold(format: str) -> None:
    endless = dataclasses.replace(ORIGIN, prompt="🚤" * 32_000, model="m" * 5_000)
    read = read_origin(finished(SMALL, endless, format))
    assert read.prompt == "🚤" * (MAX_PROMPT_CHARACTERS - 1) + "…"
    unwritable = dataclasses.replace(ORIGIN, prompt="a\x00b\ud800c")
    assert read_origin(finished(SMALL, unwritable, format)).prompt == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("format", FORMATS)
def test_the_xmp_packet_is_enough(format: str) -> None:
    """Tools that drop comments keep XMP."""
    packet = Image.open(io.BytesIO(finished(SMALL, ORIGIN, format))).info["xmp"]
    if format == "png":
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        assert read_origin(saved("png", pnginfo=text)) == ORIGIN
    else:
        assert read_origin(saved(format, xmp=packet)) == ORIGIN


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_exif_is_enough(format: str) -> None:
    exif = Image.open(io.BytesIO(finished(SMALL, ORIGIN, format))).info["exif"]
    assert read_origin(saved(format, exif=exif)) == ORIGIN


def as_attributes(**changes: str) -> bytes:
    """A packet as other tools write it: properties as attributes of the description."""
    fields = {**dataclasses.asdict(ORIGIN), "native_size": "48x48", **changes}
    attributes = " ".join(f"{xmp.PROPERTIES[name]}={quoteattr(str(value))}" for name, value in fields.items())
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in xmp.NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{xmp.RDF}">'
        f"<rdf:Description {names} {attributes}/></rdf:RDF></x:xmpmeta>"
    ).encode()


def test_xmp_rewritten_by_other_tools() -> None:
    assert read_origin(saved("jpeg", xmp=as_attributes())) == ORIGIN


BOMB = "<!DOCTYPE a [<!ENTITY b 'boom'><!ENTITY c '&b;&b;&b;&b;'>]>"


@pytest.mark.parametrize(
    "packet",
    [
        as_attributes(seed="seven"),
        as_attributes(native_size="48"),
        as_attributes(native_size="9" * 5000 + "x1"),
        BOMB.encode() + as_attributes(),
        (BOMB + "<x>&c;</x>").encode(),
        (BOMB + as_attributes().decode()).encode("utf-16"),
        b"<x>" * 10_000,
        b"<x>" * 9_000 + b"</x>" * 9_000,
        as_attributes()[:-5],
        b"\xff\xfe\x00",
        b"",
        b"<x/>",
        as_attributes(prompt="x" * 65_000),
    ],
)
def test_malformed_xmp_is_no_origin(packet: bytes) -> None:
    assert read_origin(saved("webp", xmp=packet)) is None


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "[" * 60_000,
        "null",
        '{"prompt": "a boat"}',
        '{"prompt": "a", "model": "m", "model_sha256": "0", "seed": 1e400, "created": "now", "native_size": [1, 2]}',
        '{"prompt": "a", "model": "m", "model_sha256": "0", "seed": "1", "created": "now", "native_size": [1, 2]}',
        '{"prompt": "a", "model": "m", "model_sha256": "0", "seed": 1, "created": "now", "native_size": [1, 2, 3]}',
        " " * 70_000
        + '{"prompt": "a", "model": "m", "model_sha256": "0", "seed": 1, "created": "", "native_size": [1, 2]}',
    ],
)
def test_malformed_records_are_no_origin(record: str) -> None:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_itxt("Comment", record)
    assert read_origin(saved("png", pnginfo=text)) is None


def test_text_that_calls_itself_xmp() -> None:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("xmp", as_attributes().decode())
    assert read_origin(saved("png", pnginfo=text)) is None


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_raise_nothing(format: str) -> None:
    rng = random.Random(0)
    whole = finished(SMALL, ORIGIN, format)
    head = min(len(whole), 4000)  # where the metadata is
    outcomes = set()
    for _ in range(300):
        data = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else whole)
        for _ in range(rng.randrange(1, 30)):
            if data:
                data[rng.randrange(min(head, len(data)))] = rng.randrange(256)
        outcomes.add(read_origin(bytes(data)) == ORIGIN)
    assert outcomes == {True, False}


def test_bytes_that_are_no_picture() -> None:
    assert [read_origin(data) for data in (b"", b"hello", b"GIF89a" + b"\0" * 100, b"%!PS-Adobe-3.0 EPSF-3.0\n")] == [
        None
    ] * 4


def test_only_large_pictures_are_marked() -> None:
    marked, unmarked = (
        Image.open(io.BytesIO(finished(Image.new("RGB", (side, 300), "teal"), ORIGIN, "png"))) for side in (256, 255)
    )
    assert watermark.detect(marked) < 1e-9
    assert unmarked.getcolors() == [(255 * 300, (0, 128, 128))]
