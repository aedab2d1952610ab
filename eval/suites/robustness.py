"""Does the form of a question change the answer: wording, spelling, layout, tone, system prompt, order of options?"""

from eval.suite import Suite
from eval.tasks.false_premises import TASK as LIFESPAN
from eval.tasks.formats import ARC_FORMATS, ARC_ORDER, EVERYDAY_ORDER
from eval.tasks.pararel import TASK as PARAREL
from eval.tasks.robustness import FACT_FORMATS, ROBUSTNESS, WORDINGS

SUITE = Suite(
    name="robustness",
    about="Does the form of a question change the answer: wording, spelling, layout, tone, system prompt?",
    tasks=(ROBUSTNESS, WORDINGS, FACT_FORMATS, LIFESPAN, PARAREL, EVERYDAY_ORDER, ARC_FORMATS, ARC_ORDER),
    headlines=(
        "robustness.reworded.consistency",
        "robustness.reworded.worst_case",
        "robustness.consistency",
        "robustness.spread",
        "lifespan.balanced",
    ),
)
