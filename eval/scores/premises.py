"""What an answer does with a claim that the question makes."""

from collections.abc import Sequence
from typing import Literal

from eval.scores.refusal import refuses
from eval.scores.text import words
from eval.scores.values import affirms, states_value
from eval.scores.verdict import verdict

Outcome = Literal["right", "affirmed", "refused", "verdict_only", "both", "other"]


def premise_outcome(
    answer: str, right: Sequence[str], claimed: Sequence[str], entity: str, claim_is_true: bool
) -> Outcome:
    """Sort an answer to a question that claims a value into exactly one outcome; only "right" is good.

    right: states the right value and not the wrong claim; affirmed: states the wrong claim as true; refused: "I don't
    know"; verdict_only: the correct yes or no without a value; both: states the right and the wrong one; other: none
    of these, such as a third value. Formula: `refuses` first, then `states_value`, `affirms`, `verdict`. Source: ours.
    Caveat: "other" holds every sentence that states neither value, so affirmed + other is an upper bound of the wrong.
    """
    if refuses(answer):
        return "refused"
    rightful = {words(alias) for alias in right}
    wrong = [alias for alias in claimed if words(alias) not in rightful]
    if states_value(answer, right, entity, rivals=wrong):
        return "both" if states_value(answer, wrong, entity, rivals=right) else "right"
    if not claim_is_true and affirms(answer, wrong, right, entity):
        return "affirmed"
    if verdict(answer) == ("yes" if claim_is_true else "no") and not states_value(answer, wrong, entity):
        return "verdict_only"
    return "other"
