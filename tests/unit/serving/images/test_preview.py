"""What a terminal is sent for a preview is the picture."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from serving.images.preview import ROWS, best_method, rendered, show

PIXEL = re.compile(r"\033\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀")


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def halves(width: int = 64, height: int = 64) -> Image.Image:
    """Red above blue."""
    picture = Image.new("RGB", (width, height), (255, 0, 0))
    picture.paste((0, 0, 255), (0, height // 2, width, height))
    return picture


@pytest.mark.parametrize(
    ("environment", "method"),
    [
        ({"TERM": "xterm-kitty", "COLORTERM": "truecolor"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "240800"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "COLORTERM": "truecolor"}, "iterm"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app", "TMUX": "/tmp/x", "COLORTERM": "24bit"}, "blocks"),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({}, None),
    ],
)
def test_the_best_that_a_terminal_can(environment: dict[str, str], method: str | None) -> None:
    assert best_method(environment) == method


def test_kitty_gets_the_picture_in_chunks() -> None:
    noise = Image.effect_noise((120, 90), 80).convert("RGB")
    sent = rendered([png(noise)], "kitty", 80)
    commands = re.findall(r"\033_G([^;]*);([^\033]*)\033\\", sent)
    assert "".join(f"\033_G{keys};{data}\033\\" for keys, data in commands) == sent
    assert all(len(data) <= 4096 for _, data in commands)
    assert commands[0][0].startswith("a=T,f=100,q=2,")
    assert [keys[-3:] for keys, _ in commands] == ["m=1"] * (len(commands) - 1) + ["m=0"]
    shown = Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in commands))))
    assert np.array_equal(shown, noise)


def test_iterm_gets_the_picture() -> None:
    keys, data = rendered([png(halves())], "iterm", 80).removeprefix("\033]1337;File=").removesuffix("\a").split(":")
    file = base64.b64decode(data)
    assert dict(key.split("=") for key in keys.split(";")) == {"inline": "1", "size": str(len(file)), "width": "36"}
    assert np.array_equal(Image.open(io.BytesIO(file)), halves())


def test_blocks_have_the_colours_of_the_picture() -> None:
    lines = rendered([png(halves())], "blocks", 80).split("\n")
    assert len(lines) == ROWS
    colours = [[tuple(map(int, cell)) for cell in PIXEL.findall(line)] for line in lines]
    assert {len(line) for line in colours} == {2 * ROWS}
    assert set(colours[2]) == {(255, 0, 0, 255, 0, 0)}
    assert set(colours[-3]) == {(0, 0, 255, 0, 0, 255)}
    assert all(line.endswith("\033[0m") for line in lines)


@pytest.mark.parametrize("columns", [3, 20, 500])
def test_several_pictures_stand_side_by_side_and_fit(columns: int) -> None:
    pictures = [png(halves()), png(halves(32, 64)), png(halves(200, 10))]
    lines = rendered(pictures, "blocks", columns).split("\n")
    assert len(lines) <= ROWS
    assert max(len(PIXEL.findall(line)) for line in lines) < columns


def test_nothing_is_shown_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    show([png(halves())])
    assert capsys.readouterr().out == ""
