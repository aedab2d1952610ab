"""What a score is: a pure function of a sample and the reply to it, with a declaration of what its value means.

@score(
    formula="1 if the answer states an alias of the right value as its own claim, else 0",
    source="exact match with aliases as in TriviaQA (Joshi et al. 2017, arXiv:1705.03551), made strict",
    caveat="a synonym that is not listed is missed",
)
def right(sample: Sample, reply: Answer) -> bool:
    return states_value(reply.text, sample["answers"])
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eval.meaning import Better, Meaning
from serving.errors import UserError

Sample = dict[str, Any]
Value = bool | float | str | None
"""None: the reply could not be read ("unparsed"); a text names one of several outcomes."""


@dataclass(frozen=True)
class Score:
    """A named, declared scoring function; call it with a sample and the reply."""

    name: str
    function: Callable[[Sample, Any], Value]
    meaning: Meaning

    def __call__(self, sample: Sample, reply: Any) -> Value:
        return self.function(sample, reply)


def score(
    *,
    formula: str,
    source: str,
    caveat: str,
    better: Better = "high",
    low: float | None = 0.0,
    high: float | None = 1.0,
) -> Callable[[Callable[[Sample, Any], Value]], Score]:
    """Declare the decorated function a score. Nothing has a default that would let a source or caveat be forgotten."""
    meaning = Meaning(formula, source, caveat, better, low, high)
    return lambda function: Score(function.__name__, function, meaning)


def declared_scores() -> dict[str, Score]:
    """Every score in the modules of `eval.scores`, by name."""
    import eval.scores

    found = {}
    for module in pkgutil.iter_modules(eval.scores.__path__):
        members = vars(importlib.import_module(f"eval.scores.{module.name}")).values()
        found |= {member.name: member for member in members if isinstance(member, Score)}
    return found


def find_score(name: str) -> Score:
    """The score called `name`. Raises `UserError` naming those there are."""
    scores = declared_scores()
    if name not in scores:
        raise UserError(f"There is no score {name!r}: name one of {', '.join(sorted(scores))}.")
    return scores[name]
