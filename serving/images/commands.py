"""`homegrown image draw` and `homegrown image verify`."""

import json
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.errors import UserError

if TYPE_CHECKING:
    from serving.images.draw import Progress
    from serving.images.request import DrawRequest

SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
LORA = re.compile(r"(?P<name>.+?)(:(?P<scale>-?\d+(\.\d+)?))?")
NOTHING_FOUND, UNREADABLE, INTERRUPTED = 1, 2, 130

app = typer.Typer(help="Draw a picture, or see where one comes from.", no_args_is_help=True)


@app.command()
def draw(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .png, .jpg or .webp file.", show_default="prompt.png"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="An image model's name, folder or Hugging Face id.", show_default="images")
    ] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels, or auto: the model's own.")] = "512x512",
    seed: Annotated[int | None, typer.Option(help="The same seed draws the same picture.")] = None,
    count: Annotated[int, typer.Option("-n", "--count", help="How many pictures: boat-1.png, boat-2.png ...")] = 1,
    negative: Annotated[str, typer.Option(help="What the picture must not show.")] = "",
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", show_default="the model's")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How closely to follow the prompt.", show_default="the model's")
    ] = None,
    lora: Annotated[list[str] | None, typer.Option(help="NAME or NAME:SCALE; may be given again.")] = None,
    quality: Annotated[int, typer.Option(help="Of .jpg and .webp, 0 to 100.")] = 95,
    url: Annotated[str | None, typer.Option(help="Draw with the OpenAI-compatible API at this URL.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    preview: Annotated[bool, typer.Option(help="Show the pictures in terminals that can.")] = True,
) -> None:
    """Draw pictures of a prompt and print where they are.

    Every picture says in its metadata and, from 256x256 on, in an invisible watermark that it was generated.
    """
    from serving.images.draw import draw_at, draw_here
    from serving.images.output import format_of, named_after, target_files, write_files
    from serving.images.preview import show

    output = output or named_after(prompt)
    width, height = _sides(size)
    wish = _checked(
        prompt=prompt,
        negative_prompt=negative,
        n=count,
        width=width,
        height=height,
        seed=seed,
        steps=steps,
        guidance=guidance,
        loras=[_lora(named) for named in lora or []],
        format=format_of(output),
        compression=quality,
    )
    files = target_files(output, count, force)
    try:
        with _progress() as progress:
            pictures = draw_at(url, model, wish, progress) if url else draw_here(model, wish, progress)
        write_files(files, pictures)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    for file in files:
        print(file)
    if preview:
        show(pictures)


@app.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP pictures.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a picture, for programs.")] = False,
) -> None:
    """Say where pictures come from: their metadata, their C2PA manifest, and the invisible watermark.

    Exit code 0: all were generated here; 1: nothing was found in at least one; 2: at least one cannot be read.
    """
    from serving.images.files import UnreadablePictureError
    from serving.images.verify import examine, visible

    warnings.simplefilter("ignore")  # what Pillow has to say of odd metadata
    exit_code = 0
    for file in files:
        try:
            evidence = examine(file)
        except UnreadablePictureError as error:
            print(f"homegrown: {visible(str(file))} cannot be read: {error}.", file=sys.stderr)
            if as_json:
                print(json.dumps({"file": str(file), "error": str(error)}))
            exit_code = UNREADABLE
            continue
        print(json.dumps(evidence.as_dict()) if as_json else "\n".join(evidence.lines()))
        if not evidence.generated_here:
            exit_code = max(exit_code, NOTHING_FOUND)
    raise typer.Exit(exit_code)


def _checked(**wish: object) -> "DrawRequest":
    """The request. Raises `UserError` naming what cannot be drawn."""
    from pydantic import ValidationError

    from serving.images.request import DrawRequest

    try:
        return DrawRequest(**wish)
    except ValidationError as error:
        first = error.errors()[0]
        problem = first["msg"][:1].lower() + first["msg"][1:]
        raise UserError(f"The picture cannot be drawn as wished: {first['loc'][0]}: {problem}.") from None


def _sides(size: str) -> tuple[int, int] | tuple[None, None]:
    if size == "auto":
        return None, None
    match = SIZE.fullmatch(size)
    if match is None:
        raise UserError(f"{size!r} is no size: use WIDTHxHEIGHT in pixels like 512x512, or auto.")
    return int(match[1]), int(match[2])


def _lora(named: str) -> dict:
    match = LORA.fullmatch(named)
    return {"name": match["name"] if match else named, "scale": float(match["scale"] or 1) if match else 1.0}


@contextmanager
def _progress() -> Iterator["Progress"]:
    """A bar on standard error while the block runs; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda doing, step, steps: bar.update(task, description=doing, completed=step, total=steps or None)
