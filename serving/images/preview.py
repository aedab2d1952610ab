"""Pictures shown inside a terminal: by its graphics protocol where it has one, else in half blocks of 24-bit colour."""

import base64
import io
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

Method = Literal["kitty", "iterm", "blocks"]

SHEET_PX = 384
ROWS = 18  # lines of the terminal that a preview may take
KITTY_CHUNK = 4096


def show(pictures: Sequence[bytes]) -> None:
    """Show encoded pictures side by side on standard output; nothing where it is no terminal that can."""
    if not sys.stdout.isatty():
        return
    method = best_method(os.environ)
    if method:
        print(rendered(pictures, method, shutil.get_terminal_size().columns))


def best_method(environment: Mapping[str, str]) -> Method | None:
    """How the terminal that set `environment` shows pictures best; None when it cannot."""
    terminal, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    # tmux and screen swallow the graphics of the terminal around them, whose variables are inherited.
    if not any(name in environment for name in ("TMUX", "STY")):
        if terminal in ("xterm-kitty", "xterm-ghostty") or "KONSOLE_VERSION" in environment:
            return "kitty"
        if program in ("iTerm.app", "WezTerm"):
            return "iterm"
    return "blocks" if environment.get("COLORTERM") in ("truecolor", "24bit") and terminal != "dumb" else None


def rendered(pictures: Sequence[bytes], method: Method, columns: int) -> str:
    """What to print to a terminal of that many `columns`, several lines high."""
    sheet = _side_by_side(pictures)
    # A cell is about twice as high as wide.
    cells = max(1, min(columns - 1, round(2 * ROWS * sheet.width / sheet.height)))
    if method == "kitty":
        return _kitty(_png(sheet), cells)
    if method == "iterm":
        return _iterm(_png(sheet), cells)
    return _blocks(sheet, cells)


def _side_by_side(pictures: Sequence[bytes]) -> "Image.Image":
    from PIL import Image

    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    height = min(SHEET_PX, max(picture.height for picture in opened))
    scaled = [picture.resize((max(1, picture.width * height // picture.height), height)) for picture in opened]
    gap = height // 32
    sheet = Image.new("RGB", (sum(picture.width + gap for picture in scaled) - gap, height))
    left = 0
    for picture in scaled:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return sheet


def _png(picture: "Image.Image") -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _kitty(png: bytes, cells: int) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/; q=2: no answer, which the shell would take for input."""
    encoded = base64.b64encode(png).decode()
    chunks = [encoded[start : start + KITTY_CHUNK] for start in range(0, len(encoded), KITTY_CHUNK)]
    keys = [f"a=T,f=100,q=2,c={cells},m=1", *["m=1"] * (len(chunks) - 1)]
    keys[-1] = keys[-1].replace("m=1", "m=0")
    return "".join(f"\033_G{key};{chunk}\033\\" for key, chunk in zip(keys, chunks, strict=True))


def _iterm(png: bytes, cells: int) -> str:
    """https://iterm2.com/documentation-images.html"""
    return f"\033]1337;File=inline=1;size={len(png)};width={cells}:{base64.b64encode(png).decode()}\a"


def _blocks(picture: "Image.Image", cells: int) -> str:
    """Each cell is an upper half block: its colour is the upper of two pixels, its background the lower one."""
    rows = max(1, round(cells * picture.height / picture.width / 2))
    small = picture.resize((cells, 2 * rows))
    return "\n".join(
        "".join(
            "\033[38;2;{};{};{};48;2;{};{};{}m▀".format(*small.getpixel((x, y)), *small.getpixel((x, y + 1)))
            for x in range(cells)
        )
        + "\033[0m"
        for y in range(0, 2 * rows, 2)
    )
