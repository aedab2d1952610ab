"""`homegrown improve`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Method(StrEnum):
    """How it is learnt from feedback."""

    DPO = "dpo"
    KTO = "kto"


def improve(
    method: Annotated[
        Method, typer.Option(help="dpo: pairs of a liked and a disliked answer, and corrections; kto: every thumb.")
    ] = Method.DPO,
    lora: Annotated[bool, typer.Option("--lora", help="Train an adapter and work it into the weights.")] = False,
    recipe: Annotated[
        str | None, typer.Option(help="A name in training/recipes, or a YAML file.", show_default="the served model's")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="a.b=value", help="Change a key of the recipe: dpo.beta=0.2.")
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(help="What both models are asked, as for `eval run`; repeatable.", show_default="almanac"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many samples a task.")] = None,
    gate: Annotated[
        Path | None,
        typer.Option(help="YAML file of rules; the baseline is what is served.", show_default="improve/gate.yaml"),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="The server that takes the new model up.", show_default="those that run here")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
) -> None:
    """Learn from what people thought of the answers, and serve the new model if nothing got worse.

    Feedback counts whose author lets it be trained on, and from which the served model has not learnt. Both models are
    asked the same questions; only a model that passes the gate is promoted. Interrupted, the same command goes on where
    it was.

    Exit codes: 0 promoted, or nothing new to learn from; as `homegrown eval gate` where the model is refused: 1 a rule
    is broken, 3 undecided; 2 and others: something to correct.
    """
    from improve.loop import Wish, run

    run(Wish(method.value, lora, recipe, overrides or [], suite or [], limit, gate, base_url), dry_run)
