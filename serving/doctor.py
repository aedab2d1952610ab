"""`homegrown doctor`: what is installed, what fits this machine, what is wrong and how to mend it."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

MARKS = {"good": ("✓", "32"), "note": ("!", "33"), "bad": ("✗", "31")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: findings and fits as JSON.")] = False,
) -> None:
    """Say what is installed, what fits this machine, what is wrong and how to mend it.

    The exit code is 1 when something is wrong.
    """
    from serving.checkup import CHECKS, gpus
    from serving.fitting import what_fits
    from serving.machine import Machine

    findings = [finding for check in CHECKS for finding in check()]
    machine = Machine.here()
    memory = sum(memory for _, memory in gpus()) if machine.gpu else machine.memory_bytes
    fits = what_fits(memory)
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(one) for one in findings], "fits": [asdict(fit) for fit in fits]}))
    else:
        show(findings)
        show_fits(fits, "the GPUs' memory" if machine.gpu else "the memory that is free now")
    raise typer.Exit(any(finding.state == "bad" for finding in findings))


def show(findings: list) -> None:
    """A line for each `Finding`, and one more with the way out where there is one."""
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        mark, colour = MARKS[finding.state]
        typer.echo(f" {_painted(mark, colour)} {finding.what:{width}}  {finding.said}")
        if finding.mend:
            typer.echo(f"   {'':{width}}  → {finding.mend}")


def show_fits(fits: list, memory: str) -> None:
    """A table of `Fit`s: a row for each size, a column for each precision."""
    dtypes = list(dict.fromkeys(fit.dtype for fit in fits))
    typer.echo(f"\nModels that fit {memory}, with 8,192 tokens of context (GiB):")
    typer.echo("   " + "".join(f"{head:>12}" for head in ("parameters", *dtypes)))
    for size in dict.fromkeys(fit.size for fit in fits):
        cells = [fit for fit in fits if fit.size == size]
        row = "".join(f"{fit.needed_gib:>10.1f} {_mark(fit.fits)}" for fit in cells)
        typer.echo(f"   {size:>12}{row}")


def _mark(fits: bool) -> str:
    return _painted(*MARKS["good" if fits else "bad"])


def _painted(text: str, colour: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if sys.stdout.isatty() else text
