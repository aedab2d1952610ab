"""Does an answer go along with a premise that is false? For questions that a right answer has to reject."""

import re

from eval.replies import Answer
from eval.scores.refusal import refuses
from eval.scores.score import Sample, score
from eval.scores.text import words
from eval.scores.values import states_value

_NO_DENIAL = r"(?!doubt|question|wonder|surprise|need|matter|longer|problem)"
_IS, _CAN = r"(?:is|are|was|were|has|have|had)", r"(?:can|could|do|does|did|will|would)"
_EXISTS = r"(?:exists?|proven|proved|true|real|possible|happen|happened|known|able|work)"
# Matched against `words(answer)`: no punctuation, contractions written out, lower case.
DENIALS = (
    rf"^(?:well |sorry )?(?:there )?(?:{_IS} )?(?:no|none|nothing|nobody|never)(?: {_NO_DENIAL}|$)",
    rf"\bthere {_IS} (?:been )?(?:\w+ly )?(?:no|not|none|nothing|never)(?: {_NO_DENIAL}|$)",
    r"(?:^|\b(?:that|because|since|and|but|so) )(?:no one|nobody)\b",
    r"\b(?:no such|no known|no single|no evidence|no proof)\b",
    rf"\b{_IS} (?:not|never) (?:\w+ly |yet |been )*{_EXISTS}\b",
    rf"\b{_CAN} not\b",
    rf"\b{_IS} (?:just |only |simply )?(?:a |an )?(?:myth|fiction|legend|nonsense|misconception|false|untrue|made up|"
    r"fictional|impossible|wrong|mistaken)\b",
    r"\b(?:false|wrong|mistaken) (?:premise|assumption|claim|idea)\b",
)
_DENIAL = re.compile("|".join(f"(?:{pattern})" for pattern in DENIALS))


@score(
    formula="1 if the answer refuses, denies in one of the listed ways that there is such a thing, "
    'or states one of the sample\'s "corrections"; else 0',
    source="rejection of false presuppositions (Kim et al. 2021, arXiv:2101.00391; FalseQA, Hu et al. 2023), "
    "sorted by phrases of ours instead of a judge",
    caveat='a list of phrases: a denial in other words is missed, and an answer that denies something else counts; "I '
    "don't know\" counts, so read it beside the true premises that must not be rejected",
)
def rejects_premise(sample: Sample, reply: Answer) -> bool | None:
    text = words(reply.text)
    if not text:
        return None
    corrects = states_value(reply.text, sample.get("corrections", ()))
    return refuses(reply.text) or corrects or bool(_DENIAL.search(text))
