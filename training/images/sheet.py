"""Pictures people look at while an image model is trained: the sample sheet and the curve of its losses."""

import math
import textwrap
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

CELL, GAP, TEXT = 144, 8, 11
CURVE = (900, 420)
INKS = ("#444444", "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd")


def sample_sheet(pictures: list[PIL.Image.Image], captions: list[str], columns: int = 6) -> PIL.Image.Image:
    """The pictures in rows, each enlarged without smoothing and with its caption below."""
    lines = 3
    height = CELL + lines * (TEXT + 3) + GAP
    rows = -(-len(pictures) // columns)
    sheet = PIL.Image.new("RGB", (columns * (CELL + GAP) + GAP, rows * height + GAP), "white")
    pen = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(TEXT)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = GAP + place % columns * (CELL + GAP), GAP + place // columns * height
        sheet.paste(picture.resize((CELL, CELL), PIL.Image.Resampling.NEAREST), (x, y))
        pen.rectangle((x - 1, y - 1, x + CELL, y + CELL), outline="#bbbbbb")
        wrapped = textwrap.wrap(caption, CELL // 6)[:lines]
        pen.multiline_text((x, y + CELL + 2), "\n".join(wrapped), fill="black", font=font, spacing=2)
    return sheet


def loss_curve(curves: dict[str, list[tuple[int, float]]]) -> PIL.Image.Image:
    """Lines of (step, loss), the losses on a logarithmic axis, with their names and last values."""

    image = PIL.Image.new("RGB", CURVE, "white")
    pen = PIL.ImageDraw.Draw(image)
    font = PIL.ImageFont.load_default(13)
    curves = {name: [point for point in curve if point[1] > 0] for name, curve in curves.items()}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return image
    last = max(step for step, _ in points) or 1
    low, high = min(math.log10(loss) for _, loss in points), max(math.log10(loss) for _, loss in points)
    left, top, right, bottom = 60, 20, CURVE[0] - 190, CURVE[1] - 40

    def place(step: float, loss: float) -> tuple[float, float]:
        share = (math.log10(loss) - low) / (high - low or 1)
        return left + (right - left) * step / last, bottom - (bottom - top) * share

    for power in range(math.ceil(low), math.floor(high) + 1):
        y = place(0, 10.0**power)[1]
        pen.line((left, y, right, y), fill="#dddddd")
        pen.text((8, y - 8), f"{10.0**power:g}", fill="black", font=font)
    pen.rectangle((left, top, right, bottom), outline="#888888")
    pen.text((left, bottom + 10), "step 0", fill="black", font=font)
    pen.text((right - 40, bottom + 10), f"{last:,}", fill="black", font=font)
    for number, (name, curve) in enumerate((name, curve) for name, curve in curves.items() if curve):
        ink = INKS[number % len(INKS)]
        pen.line([place(step, loss) for step, loss in curve], fill=ink, width=2, joint="curve")
        pen.text((right + 12, top + 20 * number), f"{name}  {curve[-1][1]:.4g}", fill=ink, font=font)
    return image


def save_picture(image: PIL.Image.Image, path: Path) -> None:
    """Write a PNG that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    image.save(unfinished, "PNG", optimize=True)
    unfinished.replace(path)
