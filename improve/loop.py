"""One round: feedback is exported, learnt from and examined, and the new model promoted if the gate passes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.feedback_commands import read_rows
from assistant.feedback_export import Choice
from assistant.personas import Voice
from eval.gate import read_rules
from eval.suite import joined
from improve.judging import Exam, Refused, judged
from improve.learning import learn, served_recipe
from improve.rounds import Outcome, Round, Terms, alone, begin, interrupted, learnt_until, now, same_round
from serving.errors import UserError
from serving.home import home
from serving.model_folder import check_model_folder, folder_digest
from serving.registry import default_model, history, promote
from training.exam import is_examined
from training.launch import is_disk_full
from training.recipe import Recipe

RULES = Path(__file__).parent / "gate.yaml"
SUITE = "almanac"
"""What the rules there are about."""
KINDS = {"dpo": "preference", "kto": "kto"}
"""Which rows of feedback a method learns from."""


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None and nothing are the defaults."""

    method: str = "dpo"
    lora: bool = False
    recipe: str | None = None
    overrides: Sequence[str] = ()
    suites: Sequence[str] = ()
    limit: int | None = None
    gate: Path | None = None
    base_url: str | None = None


def run(wish: Wish, dry_run: bool = False) -> None:
    """Go through one round, or on with the interrupted one.

    Raises `UserError`, `Refused` where the gate does; what is served is then what was served before.
    """
    try:
        with alone():
            _run(wish, dry_run)
    except OSError as error:
        if not is_disk_full(error, home()):
            raise
        raise UserError(
            f"The disk of {home()} is full: free some room and run the same command again; what is served stays."
        ) from None


def _run(wish: Wish, dry_run: bool) -> None:
    parent = Path(default_model())
    check_model_folder(parent)
    recipe = served_recipe(parent, wish.recipe)
    exam = _exam(wish, recipe)
    terms = Terms(
        parent=parent.name,
        parent_sha256=folder_digest(parent),
        recipe=wish.recipe or recipe.name,
        method=wish.method,
        overrides=[*([f"{wish.method}.lora=true"] if wish.lora else []), *wish.overrides],
    )
    if pinned := interrupted(terms):
        _say(f"{'would go' if dry_run else 'going'} on with round {pinned.number}")
    else:
        pinned = _pinned(terms, exam, parent, recipe, dry_run)
    if pinned and not dry_run:
        learn(pinned, parent, is_examined(recipe))
        _promote_if_it_passes(pinned, exam, parent, recipe, wish.base_url)


def _exam(wish: Wish, recipe: Recipe) -> Exam:
    """Raises `UserError` before anything is done for it."""
    suites = list(wish.suites) or [SUITE]
    joined(suites)
    if wish.gate is None and (suites != [SUITE] or not is_examined(recipe)):
        raise UserError(
            f"The rules of the house are for models of the almanac that are asked the suite {SUITE}: write some for "
            "this one and name them with --gate, and what to ask with --suite."
        )
    rules = wish.gate or RULES
    read_rules(rules)
    return Exam(suites=suites, limit=wish.limit, rules=rules.read_text(encoding="utf-8"))


def _pinned(terms: Terms, exam: Exam, parent: Path, recipe: Recipe, dry_run: bool) -> Round | None:
    """A round that learns from what is new; None where there is nothing to be learnt, or nothing shall be done."""
    since, until = learnt_until(terms.parent_sha256), now()
    choice = Choice(only_consented=True, since=since, voice=Voice.of(parent))
    found = asyncio.run(read_rows(list(KINDS.values()), choice))
    rows, thumbs = found[KINDS[terms.method]], len(found["kto"])
    if not rows:
        hint = f": {thumbs} thumbs make no pair, which --method kto would learn from" if thumbs else ""
        _say(f"there is no new feedback that {parent.name} may be trained on{hint}")
        return None
    if same := same_round(terms, rows):
        if same.is_over and same.outcome.exam == exam:
            _say(f"nothing new since round {same.number}, which made {same.plan.model} (gate: {same.outcome.verdict})")
            return None
        verb = "would be" if dry_run else "is"
        _say(f"round {same.number}, which made {same.plan.model}, {verb} judged by other rules")
        return same
    news = f"{len(rows)} rows of feedback{f' since {since:%Y-%m-%d %H:%M}' if since else ''}"
    if dry_run:
        _say(f"would train {parent.name} by {terms.method} on {news}, ask {', '.join(exam.suites)}, and promote or not")
        return None
    pinned = begin(terms, rows, until, recipe.name)
    _say(f"round {pinned.number}: {parent.name} learns from {news} by {terms.method}")
    return pinned


def _promote_if_it_passes(pinned: Round, exam: Exam, parent: Path, recipe: Recipe, base_url: str | None) -> None:
    new = pinned.model
    digest = folder_digest(new)
    verdict, entries = judged(exam, new, parent, recipe.name, pinned.folder)
    found = Outcome(exam=exam, verdict=verdict, sha256=digest)
    pinned.end(found)
    if verdict != "pass":
        raise Refused(verdict, entries, new.name, parent.name)
    by_hand = f"`homegrown models promote {new.name}` serves it all the same"
    if default_model() != str(parent) or folder_digest(parent) != pinned.plan.terms.parent_sha256:
        raise UserError(f"{new.name} passed the gate, but {parent.name} is not what is served any more: {by_hand}.")
    if any(change.sha256 == digest for change in history()):
        pinned.end(found.model_copy(update={"promoted": True}))
        raise UserError(f"{new.name} passed the gate, but it was served before and taken back: {by_hand}.")
    reason = f"round {pinned.number}: {pinned.plan.rows} rows of feedback by {pinned.plan.terms.method}"
    promotion = promote(new.name, reason, base_url, digest)
    pinned.end(found.model_copy(update={"promoted": True}))
    _say(f"{new.name} is promoted in the place of {promotion.parent}")


def _say(what: str) -> None:
    print(f"improve  {what}", flush=True)
