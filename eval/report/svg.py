"""SVG by small pure functions. Colours are classes of the style sheet: one drawing is right in light and in dark."""

from collections.abc import Iterable

from markupsafe import Markup, escape


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One element. `class_` is written class, `stroke_width` stroke-width; None leaves an attribute out."""
    given = {key.rstrip("_").replace("_", "-"): _short(value) for key, value in attributes.items() if value is not None}
    written = "".join(f' {key}="{escape(value)}"' for key, value in given.items())
    inside = Markup("").join(children)
    return Markup(f"<{name}{written}>{inside}</{name}>")


def drawing(
    width: float, height: float, title: str, *children: str, class_: str = "plot", scales: bool = True
) -> Markup:
    """A picture; `title` is what a screen reader says. What does not scale keeps its size in pixels."""
    size = {} if scales else {"width": width, "height": height}
    view = f"0 0 {_short(width)} {_short(height)}"
    return element("svg", element("title", title), *children, class_=class_, viewBox=view, role="img", **size)


def text(content: str, x: float | str, y: float, class_: str = "tick", anchor: str = "middle") -> Markup:
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """A line through the points."""
    steps = " ".join(f"{'L' if place else 'M'}{_short(x)} {_short(y)}" for place, (x, y) in enumerate(points))
    return element("path", d=steps, class_=class_)


def percent(share: float) -> str:
    """A place along the width of a drawing that has no scale of its own."""
    return f"{_short(100 * share)}%"


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
