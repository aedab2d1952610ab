"""`homegrown models list`, `promote`, `rollback` and `diff`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.errors import UserError

if TYPE_CHECKING:
    from serving.registry import Promotion

Gate = Callable[[Path, Path, Path | None, str], str]
"""Judges by rules a run, against a baseline or None, that must have asked the model with the given digest.

Returns what the history says of it; raises `UserError` unless every rule is kept.
"""
Server = Annotated[
    str | None,
    typer.Option("--base-url", help="Tell this server alone.", show_default="every one that runs in this home"),
]
Reason = Annotated[str | None, typer.Option(help="Why, for the history.", show_default="by hand")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def models_app(gate: Gate) -> typer.Typer:
    """The commands; `gate` comes from the room that knows how to judge a model."""
    app = typer.Typer(help="The models of this home: which there are, and which is served.", no_args_is_help=True)
    app.command(name="list")(list_models)
    app.command(name="promote")(promote_command(gate))
    app.command()(rollback)
    app.command()(diff)
    return app


def list_models(
    as_json: Json = False,
    history: Annotated[bool, typer.Option("--history", help="Show every promotion instead.")] = False,
) -> None:
    """Show every model: what it was made from, how large it is, and which one is served."""
    from serving import registry
    from serving.model_list import models_here

    if history:
        changes = registry.history()
        if as_json:
            typer.echo(json.dumps([change.model_dump(mode="json") for change in changes], indent=1))
        else:
            from serving.model_tables import show_history

            show_history(changes)
        return
    models = models_here()
    if as_json:
        typer.echo(json.dumps([asdict(model) for model in models], indent=1))
        return
    from serving.model_tables import show_models

    show_models(models, registry.current())


def promote_command(gate: Gate) -> Callable[..., None]:
    """`promote`, which asks `gate` where rules are given."""

    def promote(
        name: Annotated[str, typer.Argument(help="A model of `homegrown models list`.")],
        reason: Reason = None,
        rules: Annotated[
            Path | None, typer.Option("--gate", help="Only if a run keeps the rules in this YAML file.")
        ] = None,
        run: Annotated[Path | None, typer.Option(help="The run of this model that is judged.")] = None,
        baseline: Annotated[Path | None, typer.Option(help="The run that the rules call the baseline.")] = None,
        base_url: Server = None,
    ) -> None:
        """Serve this model from now on.

        A server that runs takes it up: what is being answered is answered to its end, and new questions go to the new
        model once it answers. When it does not, the one before goes on serving.
        """
        from serving import registry

        if (rules is None) != (run is None) or (baseline and not rules):
            raise UserError("A gate needs both: name its rules with --gate and the run that is judged with --run.")
        sha256 = None
        if rules and run:
            sha256 = registry.prepare(name, "").sha256
            judged = gate(rules, run, baseline, sha256)
            reason = f"{reason}; {judged}" if reason else judged
        _tell(registry.promote(name, reason or registry.REASON, base_url, sha256), base_url)

    return promote


def rollback(reason: Reason = None, base_url: Server = None) -> None:
    """Serve again what was served before the last promotion."""
    from serving import registry

    promotion = registry.rollback(reason or registry.REASON, base_url)
    _tell(promotion, base_url)
    if promotion.folder.is_dir() and _changed_since(promotion):
        typer.echo(f"The files of {promotion.name} are not those that were served before.", err=True)


def diff(
    a: Annotated[str, typer.Argument(help="A model: its name, or a folder.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    as_json: Json = False,
) -> None:
    """Show what differs: how the models came to be, settings, tokenizer, template, and how far the weights moved."""
    from serving.model_diff import model_diff
    from serving.model_list import find_model

    first, second = find_model(a), find_model(b)
    found = model_diff(first, second)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    from serving.model_tables import show_diff

    show_diff(found, first.name, second.name)


def _tell(promotion: "Promotion", base_url: str | None) -> None:
    from serving.running import running_servers

    told = [base_url] if base_url else running_servers()
    where = f"answers at {', '.join(told)}" if told else "will be served from the next start on"
    typer.echo(f"{promotion.name} {where} (before: {promotion.parent}; {promotion.reason}).")


def _changed_since(rolled_back: "Promotion") -> bool:
    """Whether the model that is served again is another one than when it was promoted."""
    from serving import registry

    before = [change for change in registry.history() if change.event == "promoted" and change.name == rolled_back.name]
    return bool(before) and before[-1].sha256 != rolled_back.sha256
