"""Captioned picture files: how they are found, read and cut to size, and what is left out and why."""

import csv
import gzip
import io
import json
import os
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.errors import UserError
from training.images.drawn import Pictures
from training.images.files import fitted
from training.images.section import PictureSource
from training.images.sources import fingerprint, open_pictures

SIZE = 16
COLOURS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with HOMEGROWN_DATA unset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOMEGROWN_DATA", raising=False)
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def encoded(colour: tuple[int, ...], format: str = "PNG", size: tuple[int, int] = (20, 20)) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(file, format)
    return file.getvalue()


PICTURES = {f"{name}.png": encoded(colour) for name, colour in COLOURS.items()}
ROWS = [{"file": name, "caption": f"A {name.removesuffix('.png')} wall"} for name in PICTURES]


def jsonl(rows: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[dict]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def opened(name: str = "set", **options) -> Pictures:
    return open_pictures(PictureSource(name=name, **options), SIZE)


def captions(pictures: Pictures, held_out: bool = False) -> dict[str, tuple[int, ...]]:
    """What is handed out: each caption with the colour in the middle of its picture."""
    rng = random.Random(0)
    drawn = [pictures.sample(rng, held_out) for _ in range(100)]
    return {one.caption: tuple(one.picture[SIZE // 2, SIZE // 2].tolist()) for one in drawn}


EVERYTHING = {f"A {name} wall": colour for name, colour in COLOURS.items()}
LAYOUTS = {
    "beside": {"captions.jsonl": jsonl(ROWS), **PICTURES},
    "in a zip beside": {"captions.jsonl.gz": gzip.compress(jsonl(ROWS)), "images.zip": zipped(PICTURES)},
    "in folders of a tar": {
        "captions.csv": table(ROWS),
        "images.tar.gz": tarred({f"x/{n}": d for n, d in PICTURES.items()}),
    },
    "imagefolder": {
        "train/metadata.csv": table([{"file_name": row["file"], "text": row["caption"]} for row in ROWS]),
        **{f"train/{name}": data for name, data in PICTURES.items()},
    },
    "all in one zip": {"all.zip": zipped({"set/rows.jsonl": jsonl(ROWS), **PICTURES})},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_and_captions_find_each_other_however_they_are_kept(folder: Path, layout: str) -> None:
    write(folder, LAYOUTS[layout])
    pictures = opened(held_out=0)
    assert captions(pictures) == EVERYTHING
    assert pictures.count == 4
    assert pictures.words == sorted({"a", "wall", *COLOURS})
    assert not pictures.unusable


def test_archive_or_table_can_be_named_itself(folder: Path) -> None:
    write(folder, LAYOUTS["all in one zip"])
    write(folder, {"other.png": encoded((1, 2, 3))})
    assert captions(opened("set/all.zip", held_out=0)) == EVERYTHING
    (folder / "all.zip").unlink()
    write(folder, LAYOUTS["in a zip beside"])
    assert captions(opened("set/captions.jsonl.gz", held_out=0)) == EVERYTHING


def test_data_folder_is_looked_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, LAYOUTS["beside"])
    (folder.parent / "elsewhere").mkdir()
    monkeypatch.chdir(folder.parent / "elsewhere")
    monkeypatch.setenv("HOMEGROWN_DATA", str(folder.parent))
    assert captions(opened(held_out=0)) == EVERYTHING


def test_a_table_speaks_for_the_pictures_nearest_to_it(folder: Path) -> None:
    for part in ("train", "test"):
        rows = jsonl([{"file_name": "0.png", "caption": f"{part} caption"}])
        write(folder / part, {"metadata.jsonl": rows, "0.png": encoded(COLOURS["red" if part == "train" else "blue"])})
    assert captions(opened(held_out=0)) == {"train caption": COLOURS["red"], "test caption": COLOURS["blue"]}


def test_several_caption_columns_are_joined(folder: Path) -> None:
    rows = [{"file": "red.png", "caption": "wall ", "tags": ["red", "flat"], "size": 3, "text": ""}]
    write(folder, {"captions.jsonl": jsonl(rows), **PICTURES})
    assert set(captions(opened(caption=["caption", "tags"]))) == {"wall, red, flat"}
    assert set(captions(opened())) == {"wall"}


def test_transparent_pixels_become_white_and_are_no_thing() -> None:
    picture = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (16, 4, 24, 16))
    file = io.BytesIO()
    picture.save(file, "PNG")
    shown, things = fitted(file.getvalue(), 20)
    assert shown[0, 0].tolist() == [255, 255, 255]
    assert shown[10, 10, 0] == 255
    assert shown[10, 10, 1] < 5
    assert things[10, 10]
    assert not things[0, 0]
    assert things[10, 6]  # near the outline, which runs at 8
    assert 20 < things.sum() < 100


def test_opaque_picture_is_cropped_to_its_middle_and_is_no_thing() -> None:
    picture = Image.new("RGB", (60, 20), "blue")
    picture.paste((255, 0, 0), (20, 0, 40, 20))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    shown, things = fitted(file.getvalue(), SIZE)
    assert (np.abs(shown[:, 3:-3].astype(int) - (255, 0, 0)) < 20).all()
    assert not things.any()


def test_photo_stands_upright() -> None:
    picture = Image.new("RGB", (20, 20), "blue")
    picture.paste((255, 0, 0), (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif, quality=95)
    shown, _ = fitted(file.getvalue(), SIZE)
    assert shown[-2, 8, 0] > 200 > 50 > shown[1, 8, 0]


def test_unusable_pictures_are_counted_and_named(folder: Path) -> None:
    rows = [
        *ROWS,
        {"file": "broken.png", "caption": "a broken one"},
        {"file": "bomb.png", "caption": "a bomb"},
        {"file": "lost.png", "caption": "one that is not there"},
    ]
    bomb = encoded((0, 0, 0), size=(9000, 9000))
    files = {**PICTURES, "broken.png": PICTURES["red.png"][:60], "bomb.png": bomb, "more.png": PICTURES["red.png"]}
    write(folder, {"captions.jsonl": jsonl(rows) + b"{no json\n", "images.zip": zipped(files)})
    pictures = opened(held_out=0)
    assert captions(pictures) == EVERYTHING
    for reason in (
        "it is damaged",
        "9000x9000 pixels",
        "1 pictures without a caption",
        "1 rows without",
        "broken JSON",
    ):
        assert reason in pictures.unusable
    assert "images.zip/bomb.png" in pictures.unusable


def test_source_without_usable_pictures_is_refused(folder: Path) -> None:
    write(folder, {"captions.jsonl": jsonl(ROWS)})
    with pytest.raises(UserError, match=r"no captioned picture \(4 rows without their picture"):
        opened()
    write(folder, PICTURES)
    with pytest.raises(UserError, match=r"4 pictures without a caption.*captions in label \(`caption` in the recipe"):
        opened(caption=["label"])


def test_damaged_archive_is_refused(folder: Path) -> None:
    write(folder, {"captions.jsonl": jsonl(ROWS), "images.tar.gz": tarred(PICTURES)[:100]})
    with pytest.raises(UserError, match=r"images.tar.gz is truncated or damaged"):
        opened()


def test_held_out_pictures_are_never_trained_on(folder: Path) -> None:
    rows = [{"file": f"{number}.png", "caption": str(number)} for number in range(40)]
    write(folder, {"captions.jsonl": jsonl(rows)})
    write(folder, {row["file"]: encoded((6 * number, 0, 0)) for number, row in enumerate(rows)})
    pictures = opened(held_out=0.1)
    kept, trained = set(captions(pictures, held_out=True)), set(captions(pictures))
    assert len(kept) == 4
    assert pictures.count == 36
    assert not kept & trained
    assert set(captions(opened(held_out=0.1), held_out=True)) == kept


def test_fingerprint_changes_with_a_picture(folder: Path) -> None:
    write(folder, LAYOUTS["beside"])
    before = fingerprint(PictureSource(name="set"))
    assert fingerprint(PictureSource(name="set")) == before
    write(folder, {"red.png": PICTURES["blue.png"]})
    assert fingerprint(PictureSource(name="set")) != before


DATA = os.environ.get("HOMEGROWN_DATA", "")


@pytest.mark.skipif(not (Path(DATA) / "openmoji_72").is_dir(), reason="HOMEGROWN_DATA has no openmoji_72")
def test_emoji_set_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROWN_DATA", DATA)
    pictures = opened("openmoji_72")
    assert pictures.count > 2000
    assert not pictures.unusable
    drawn = pictures.sample(random.Random(0))
    assert drawn.picture.shape == (SIZE, SIZE, 3)
    assert drawn.things.any()
