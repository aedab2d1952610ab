"""What `homegrown models` shows in a terminal."""

import math
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from serving.model_diff import Change, ModelDiff
from serving.model_list import ModelInfo
from serving.registry import Promotion
from serving.weight_diff import TensorChange, WeightDiff

COLUMNS = ("attention", "mlp", "norms", "weights")
LARGEST = 5
TEMPLATE_LINES = 20
# Characters of a value.
LONGEST = 60
# From this relative change on: bold, plain, dim.
LARGE, SOME = 0.1, 0.01


def show_models(models: Sequence[ModelInfo], promotion: Promotion | None) -> None:
    """A row for each model, and below what was promoted."""
    console = Console(highlight=False)
    if not models:
        console.print("There is no model yet: `homegrown train run almanac` grows one.", markup=False)
        return
    table = _table("", "model", "made by", "from", ">parameters", ">size", "grown", whole=2)
    for model in models:
        table.add_row(
            Text("●" if model.served else "", "green"),
            Text(model.name, "bold green" if model.served else "bold"),
            _made_by(model),
            " ← ".join(model.parents) or "-",
            "-" if model.parameters is None else _short(model.parameters),
            f"{_short(model.bytes)}B",
            (model.grown or "-").partition("T")[0],
        )
    console.print(table)
    for model in models:
        if model.problem:
            console.print(Text(f"✗ {model.name}: {model.problem}", "red"), soft_wrap=True)
    if promotion:
        console.print(Text(_standing(promotion, models)), soft_wrap=True)


def show_history(changes: Sequence[Promotion]) -> None:
    """A row for each promotion and rollback, the newest first."""
    console = Console(highlight=False)
    if not changes:
        console.print("Nothing was promoted yet.")
        return
    table = _table("when", "what", "model", "before", "sha256", "why")
    for change in reversed(changes):
        when = f"{change.time:%Y-%m-%d %H:%M}"
        table.add_row(when, change.event, change.name, change.parent, change.sha256[:12], Text(change.reason))
    console.print(table)


def show_diff(diff: ModelDiff, a: str, b: str) -> None:
    """What differs, section by section; a section without differences is one line."""
    console = Console(highlight=False)
    if diff.same:
        console.print(Text(f"{a} and {b} are the same model: every file but card and lineage is alike.", "green"))
    for title, changes in (("lineage", diff.lineage), ("settings", diff.settings), ("tokenizer", diff.tokenizer)):
        _show_changes(console, title, changes, a, b)
    _title(console, "chat template", bool(diff.template))
    for line in diff.template[:TEMPLATE_LINES]:
        console.print(Text(line, {"+": "green", "-": "red"}.get(line[0], "dim")), soft_wrap=True)
    if len(diff.template) > TEMPLATE_LINES:
        console.print(f"... and {len(diff.template) - TEMPLATE_LINES} lines more", style="dim")
    _show_weights(console, diff.weights, a, b)


def _show_changes(console: Console, title: str, changes: Sequence[Change], a: str, b: str) -> None:
    _title(console, title, bool(changes))
    if changes:
        table = _table("", a, b)
        for change in changes:
            table.add_row(Text(change.what, "dim"), _cut(change.a), _cut(change.b))
        console.print(table)


def _show_weights(console: Console, weights: WeightDiff, a: str, b: str) -> None:
    moved = any(change.moved != 0 for change in weights.changes)
    apart = (
        (f"only in {a}", weights.only_a),
        (f"only in {b}", weights.only_b),
        ("of another shape", weights.reshaped),
        ("not compared, since they are quantised", weights.coded),
    )
    _title(console, "weights", moved or any(names for _, names in apart))
    if moved:
        console.print(f"How far they moved: |{b} - {a}| / |{a}|, Frobenius norms.", style="dim", markup=False)
        rows = weights.table()
        columns = [column for column in COLUMNS if any(column in row for row in rows.values())]
        table = _table("", *(f">{column}" for column in columns))
        for row, cells in rows.items():
            table.add_row(Text(row), *(_percent(cells[column]) if column in cells else "" for column in columns))
        console.print(table)
        console.print("Most:", style="dim")
        console.print(_largest(weights.largest(LARGEST)))
    for what, names in apart:
        if names:
            shown = ", ".join(names[:LARGEST]) + (", ..." if len(names) > LARGEST else "")
            console.print(Text(f"{len(names)} tensors {what}: {shown}", "yellow"), soft_wrap=True)


def _largest(changes: Iterable[TensorChange]) -> Table:
    table = _table("", ">")
    table.show_header = False
    for change in changes:
        table.add_row(Text(change.name), _percent(change.relative))
    return table


def _title(console: Console, title: str, differs: bool) -> None:
    console.print(Text(f"\n{title}", "bold") if differs else Text(f"\n{title}: the same", "dim"))


def _table(*columns: str, whole: int = 1) -> Table:
    """A table without lines, the first `whole` columns never cut; one whose title begins with > is right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, title in enumerate(columns):
        justify = "right" if title.startswith(">") else "left"
        table.add_column(title.removeprefix(">"), justify=justify, no_wrap=place < whole, overflow="fold")
    return table


def _made_by(model: ModelInfo) -> str:
    """The last stage; of what is no text model, its kind as well."""
    names = [model.stage] if model.kind == "text" else [model.stage, model.kind]
    return ", ".join(dict.fromkeys(name for name in names if name)) or "-"


def _standing(promotion: Promotion, models: Sequence[ModelInfo]) -> str:
    told = f"{promotion.name} was promoted on {promotion.time:%Y-%m-%d %H:%M} ({promotion.reason})"
    if promotion.name not in [model.name for model in models]:
        return f"{told}, and is gone: promote another, or go back with `homegrown models rollback`."
    if promotion.has_changed():
        return f"{told}; its files have changed since: promote it again if that is meant."
    return f"{told}."


def _cut(value: str) -> str:
    return escape(value if len(value) <= LONGEST else f"{value[:LONGEST]}…")


def _percent(relative: float) -> Text:
    if not math.isfinite(relative):
        return Text("not finite" if math.isnan(relative) else "from zero", "red")
    style = "bold" if relative >= LARGE else "" if relative >= SOME else "dim"
    return Text(f"{100 * relative:.2f} %" if relative else "0", style)


def _short(number: float) -> str:
    """As people write large numbers: 1.6M."""
    for unit in ("", "K", "M"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"
