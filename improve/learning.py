"""How a model learns from feedback: a stage of alignment whose examples are feedback and the recipe's own pairs."""

import json
from pathlib import Path

from improve.rounds import Round
from serving.errors import UserError
from serving.home import home
from serving.model_folder import read_lineage
from training.exam import is_examined
from training.pipeline import STAGES
from training.recipe import Recipe, load_recipe
from training.text_stages import positions_of

PASSES = 3
CONTEXT = 2048
"""In tokens, of models that do not say theirs."""
DIALS = {"batch": 16, "held_out": 128, "answer_tokens": 256, "warmup_steps": 5, "learning_rate": 3e-5}
"""Larger steps learn what is liked faster and forget facts: benchmarks/LOG.md."""
OWN_DIALS = {"dpo": {"sft": 0.3}}
"""What only one method has: DPO holds on to what the better answers say."""
REPLAY = 2
"""So many of the almanac's own pairs are learnt from beside each of the feedback's, so that nothing is forgotten."""
KINDS = {"right": 0.34, "honest": 0.31, "premise": 0.17, "tool": 0.11, "brief": 0.07}
"""Of these. Silence must be about as often the better answer as the worse one: each round makes the model more silent
with more of `honest`, and more talkative about what it does not know with less (benchmarks/LOG.md)."""


def served_recipe(model: Path, named: str | None) -> Recipe:
    """The recipe called `named`, or without a name the one that the model was grown by. Raises `UserError`.

    An alignment recipe says neither what the model was taught nor what it can be asked: then it is that of the nearest
    parent that has an exam.
    """
    if named:
        return load_recipe(named)
    recipes = [load_recipe(name) for name in _grown_by(model)]
    if not recipes:
        raise UserError(f"Nothing says by which recipe {model.name} was grown: name one with --recipe.")
    return next(filter(is_examined, recipes), recipes[0])


def _grown_by(model: Path) -> list[str]:
    """The recipes of the model and of the parents that are here, the model's first."""
    found, seen = [], set()
    while model not in seen and (model / "lineage.json").is_file():
        seen.add(model)
        lineage = read_lineage(model)
        found += [lineage.recipe] if lineage.recipe else []
        model = home() / "models" / (lineage.parent or "")
    return list(dict.fromkeys(found))


def learn(pinned: Round, parent: Path, has_pairs: bool) -> Path:
    """Train the model of the round, unless it is there; its folder.

    `has_pairs`: the almanac's own pairs are mixed in.
    """
    terms = pinned.plan.terms
    sources: list[dict] = [{"name": str(pinned.feedback), "licence": "by consent"}]
    if has_pairs:
        sources.append({"name": "almanac", "weight": REPLAY, "kinds": KINDS})
    drawn = {
        "base": str(parent),
        "sources": sources,
        "budget": f"{PASSES * (1 + has_pairs * REPLAY) * pinned.plan.rows} examples",
        "context": positions_of(parent) or CONTEXT,
    }
    section = DIALS | OWN_DIALS.get(terms.method, {}) | drawn
    recipe = load_recipe(terms.recipe, [f"{terms.method}={json.dumps(section)}", *terms.overrides])
    return STAGES[terms.method](recipe, pinned.folder / "training", pinned.model).run()
