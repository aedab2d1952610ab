"""`homegrown eval compare` and `homegrown eval gate`: what changed, and whether it may pass."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eval.compare import Change
    from eval.result import Result

AcrossPrompts = Annotated[
    bool, typer.Option("--across-prompts", help="Compare the same questions although they were asked differently.")
]


def compare_runs(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs: of two, the first is the baseline; more, or the folder that `eval run --models` "
            "wrote, are put side by side."
        ),
    ],
    everything: Annotated[
        bool, typer.Option("--all", help="Of two runs: every figure, not the headline figures alone.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write what was found to this file.")] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Say what the runs cost: YAML with a currency and prices of tokens by model.")
    ] = None,
    across_prompts: AcrossPrompts = False,
) -> None:
    """Compare two runs in pairs: better, worse, no difference found, or not comparable; or put several side by side.

    p-values of the headline figures are adjusted by Holm, those of all others by Benjamini-Hochberg.
    """
    from eval.systems.commands import compare_systems, runs_in
    from serving.errors import UserError

    folders = runs_in(runs)
    if len(folders) < 2:
        raise UserError("One run alone has nothing to be compared with: name two or more.")
    if len(folders) > 2:
        compare_systems(folders, json_file, across_prompts, prices)
    else:
        _compare_two(*folders, everything, json_file, across_prompts, prices)


def _compare_two(
    a: Path, b: Path, everything: bool, json_file: Path | None, across_prompts: bool, prices: Path | None
) -> None:
    from eval.compare import compare
    from eval.compare_table import render
    from eval.result import read_result
    from eval.systems.commands import cost_lines

    baseline, run = read_result(a), read_result(b)
    changes = compare(baseline, run, across_prompts)
    typer.echo(f"A  {_named(baseline)}\nB  {_named(run)}\n\n{render(changes, everything)}\n")
    others = [change for change in changes if not change.headline]
    found = sum(change.outcome in ("better", "worse", "changed") for change in others)
    if not everything:
        typer.echo(f"{len(others)} other figures, {found} of them changed: --all shows them.")
    if prices:
        typer.echo(f"\n{cost_lines([baseline, run], prices)}")
    if json_file:
        _write_json(json_file, a, b, changes)


def gate_run(
    rules: Annotated[Path, typer.Argument(help="YAML file of rules.")],
    run: Annotated[Path, typer.Argument(help="Folder of the run that is judged.")],
    baseline: Annotated[Path | None, typer.Option(help="Folder of the run that rules call the baseline.")] = None,
    across_prompts: AcrossPrompts = False,
) -> None:
    """Judge a run by rules.

    Exit codes: 0 every rule is kept, 1 one is broken, 2 something to correct, 3 undecided: too few questions, too many
    errors, or not measurable.
    """
    from eval.gate import EXIT_CODES, judge, outcome, read_rules, render
    from eval.result import read_result

    judged = judge(read_rules(rules), read_result(run), read_result(baseline) if baseline else None, across_prompts)
    verdict = outcome(judged)
    typer.echo(f"{render(judged)}\n\n{verdict}")
    raise typer.Exit(EXIT_CODES[verdict])


def _named(result: "Result") -> str:
    return f"{result.identity['model']}, suite {result.identity['suite']}, {result.folder}"


def _write_json(path: Path, a: Path, b: Path, changes: "list[Change]") -> None:
    from serving.errors import UserError

    content = {"a": str(a), "b": str(b), "figures": {change.key: change.as_json() for change in changes}}
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"The comparison cannot be written to {path} ({error}): name another file.") from None
