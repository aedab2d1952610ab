"""Where a picture comes from, in words, for programs, and as an exit code."""

import io
import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from serving.images.commands import app
from serving.images.files import MAX_PIXELS
from serving.images.provenance import Origin, finished
from serving.images.verify import MAX_FILE_BYTES, examine, visible

ORIGIN = Origin("a red boat", "images", "ab" * 32, 7, "2026-11-21T19:00:00Z", (48, 48))


def verify(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `homegrown image verify`."""
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def picture(side: int) -> Image.Image:
    drawn = Image.new("RGB", (side, side), (30, 160, 60))
    drawn.paste((250, 250, 250), (side // 4, side // 4, side // 2, side // 2))
    return drawn


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    path = tmp_path / "boat.png"
    path.write_bytes(finished(picture(320), ORIGIN, "png"))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.jpg"
    picture(320).save(path)
    return path


def test_a_picture_of_ours(marked: Path) -> None:
    code, said, _ = verify(marked)
    assert code == 0
    assert f"{marked} was generated with Homegrown." in said
    for part in ('"a red boat"', "model images", "seed 7", "2026-11-21", "48x48", "watermark: found, p <"):
        assert part in said


def test_the_watermark_alone_shows_it(marked: Path, tmp_path: Path) -> None:
    """A copy without metadata, half as large, as a JPEG."""
    copy = tmp_path / "copy.jpg"
    Image.open(marked).convert("RGB").resize((160, 160)).save(copy, quality=75)
    code, said, _ = verify(copy)
    assert code == 0
    assert "was generated with Homegrown." in said
    assert "metadata:  none of ours" in said


def test_metadata_alone_is_called_what_it_is(tmp_path: Path) -> None:
    small = tmp_path / "small.webp"
    small.write_bytes(finished(picture(64), ORIGIN, "webp"))
    code, said, _ = verify(small)
    assert code == 0
    assert "only its metadata does, which anyone can write" in said
    assert "below 256x256 are not marked" in said


def test_nothing_known_is_no_proof(plain: Path) -> None:
    code, said, _ = verify(plain)
    assert code == 1
    assert "does not prove that it was not generated" in said
    assert "watermark: not found, p = " in said


def test_several_files_and_the_worst_exit_code(marked: Path, plain: Path, tmp_path: Path) -> None:
    assert verify(marked, marked)[0] == 0
    assert verify(plain, marked)[0] == 1
    code, said, complaint = verify(plain, tmp_path / "missing.png", marked)
    assert code == 2
    assert said.count("watermark:") == 2
    assert complaint == f"homegrown: {tmp_path / 'missing.png'} cannot be read: no such file or directory.\n"


def test_json(marked: Path, plain: Path, tmp_path: Path) -> None:
    code, said, _ = verify("--json", marked, plain, tmp_path)
    assert code == 2
    ours, unknown, unreadable = map(json.loads, said.splitlines())
    assert (ours["file"], ours["generated_here"], ours["watermark"]["found"]) == (str(marked), True, True)
    assert (ours["origin"]["prompt"], ours["origin"]["native_size"]) == ("a red boat", [48, 48])
    assert (unknown["generated_here"], unknown["origin"]) == (False, None)
    assert unknown["watermark"]["p"] > 0.001
    assert unreadable == {"file": str(tmp_path), "error": "is a directory"}


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is that large, and holds a few bytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def cut(format: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(file, format)
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no PNG, JPEG or WebP picture"),
        (b"hello", "it is no PNG, JPEG or WebP picture"),
        (b"GIF89a" + bytes(50), "it is no PNG, JPEG or WebP picture"),
        (png_header(50_000, 50_000), f"it has more than {MAX_PIXELS // 2**20} million pixels"),
        (
            png_header(10_000, 9_000),
            f"it has 10000x9000 pixels, and more than {MAX_PIXELS // 2**20} million are not read",
        ),
        (png_header(100, 100), "it is damaged"),
        (cut("PNG"), "it is damaged"),
        (cut("JPEG"), "it is damaged"),
        (cut("WEBP"), "it is damaged"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.png"
    path.write_bytes(data)
    code, said, complaint = verify(path)
    assert (code, said, complaint) == (2, "", f"homegrown: {path} cannot be read: {reason}.\n")


def test_files_too_large_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    assert verify(path)[2].endswith("it is larger than 64 MiB.\n")


def test_a_strangers_words_do_not_command_the_terminal(tmp_path: Path) -> None:
    prompt = "\033]0;owned\007 a\033[2J\n\n  boat \u202egnp.exe" + "x" * 500
    path = tmp_path / "boat.webp"
    path.write_bytes(finished(picture(40), Origin(prompt, "m\r\033[A", "0", 1, "\033c", (1, 1)), "webp"))
    said = verify(path)[1]
    assert said.count("\n") == 4
    assert all(character.isprintable() or character == "\n" for character in said)
    assert visible(prompt)[:31] == "]0;owned a[2J boat gnp.exexxxxx"
    assert visible(prompt).endswith("x…")


def test_a_jpeg_of_several_pictures_is_a_jpeg(tmp_path: Path) -> None:
    """Phones write such files; Pillow calls them MPO."""
    path = tmp_path / "phone.jpg"
    picture(300).save(path, "MPO", save_all=True, append_images=[picture(100)])
    assert Image.open(path).format == "MPO"
    assert verify(path)[0] == 1


def test_grey_and_transparent_pictures_can_be_examined(tmp_path: Path) -> None:
    for mode in ("L", "LA", "RGBA", "P", "1", "I;16"):
        path = tmp_path / "picture.png"
        Image.new(mode, (300, 300)).save(path)
        assert examine(path).p == 1.0
