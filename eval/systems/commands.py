"""What `homegrown eval` does with several systems: measures each, compares all, and says what they cost."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from eval.measure import Measurement
from eval.result import Result, read_result
from eval.systems.lineage import in_order_of_growth
from eval.systems.measure_each import folder_of_runs, measure_each
from eval.systems.named import Named, named_systems
from eval.systems.prices import Cost, Prices, cost_of, read_prices
from eval.systems.side_by_side import SideBySide, System, lettered, side_by_side
from eval.systems.table import costs_of, render
from serving.errors import UserError


def runs_in(folders: Sequence[Path]) -> list[Path]:
    """The folders, with the runs below it in place of one that is no run itself."""
    return [run for folder in folders for run in _below(folder)]


def results_of(folders: Sequence[Path]) -> list[Result]:
    """The runs in the order in which their models were grown."""
    return in_order_of_growth([read_result(folder) for folder in folders])


def measure_systems(wanted: Measurement, models: Sequence[str]) -> int:
    """Measure each and print them side by side; the exit code."""
    from eval.commands import INCOMPLETE, INTERRUPTED

    if wanted.model or wanted.base_url:
        raise UserError("--models names what to measure: leave the model and --base-url out.")
    systems = named_systems(models)
    folder = wanted.out or folder_of_runs()
    typer.echo(f"runs: {folder}", err=True)
    try:
        results, failures = measure_each(wanted, systems, folder, _say_start, _say_failure)
    except KeyboardInterrupt:
        typer.echo(f"\nhomegrown: interrupted: the same command with --out {folder} asks what is missing.", err=True)
        return INTERRUPTED
    if len(results) > 1:
        typer.echo(f"\n{render(side_by_side(in_order_of_growth(results)))}\n")
    for name in failures:
        typer.echo(f"not measured to the end: {name}; the same command with --out {folder} asks what is missing.")
    if results:
        typer.echo(f"`homegrown eval report {folder}` shows all of them on one page.")
    is_whole = not failures and not any(result.errors or result.unasked for result in results)
    return 0 if is_whole else INCOMPLETE


def compare_systems(
    folders: Sequence[Path], json_file: Path | None, across_prompts: bool, prices_file: Path | None
) -> None:
    """Print several runs side by side."""
    prices = read_prices(prices_file) if prices_file else None
    table = side_by_side(results_of(folders), across_prompts)
    costs = costs_with(prices, table.systems)
    typer.echo(f"{render(table)}\n\n{costs_of(table.systems, costs, prices)}")
    if json_file:
        _write(json_file, _as_json(table, costs, prices))


def costs_with(prices: Prices | None, systems: Sequence[System]) -> list[Cost]:
    """Of each system, by its price or that of its model."""
    known = prices.models if prices else {}
    return [cost_of(s.result, known.get(s.name) or known.get(s.result.identity["model"])) for s in systems]


def cost_lines(results: Sequence[Result], prices_file: Path) -> str:
    """Tokens and costs of runs, for below their comparison."""
    prices, systems = read_prices(prices_file), lettered(results)
    return costs_of(systems, costs_with(prices, systems), prices)


def _say_start(system: Named) -> None:
    typer.echo(f"{system.name}:", err=True)


def _say_failure(system: Named, why: str) -> None:
    typer.echo(f"homegrown: {system.name}: {why}", err=True)


def _below(folder: Path) -> list[Path]:
    if (folder / "run.json").exists():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/run.json")) or [folder]


def _as_json(table: SideBySide, costs: Sequence[Cost], prices: Prices | None) -> dict:
    systems = {
        s.letter: {"name": s.name, "run": str(s.result.folder), **_cost_as_json(cost)}
        for s, cost in zip(table.systems, costs, strict=True)
    }
    figures = {
        line.key: {
            "values": {
                s.letter: dict(zip(("value", "low", "high", "n"), cell.estimate, strict=True))
                if cell.estimate
                else {"why_not": cell.why_not}
                for s, cell in zip(table.systems, line.cells, strict=True)
            },
            "pairs": {
                f"{pair.second.letter}-{pair.first.letter}": pair.change.as_json() | {"together": pair.interval}
                for pair in line.pairs
            },
        }
        for line in table.lines
    }
    return {"currency": prices.currency if prices else None, "systems": systems, "figures": figures}


def _cost_as_json(cost: Cost) -> dict:
    fields = {name: value for name, value in vars(cost).items() if name != "per_right"}
    return fields | ({"per_right": cost.per_right.as_json()} if cost.per_right else {})


def _write(path: Path, content: dict) -> None:
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The comparison cannot be written to {path} ({error}): name another file.") from None
