"""The default: everything that can be decided about an assistant in a few minutes with nothing else installed."""

from eval.suite import Suite
from eval.suites.hallucination import KNOWLEDGE
from eval.tasks import grounding, selfcheck
from eval.tasks.false_premises import TASK as LIFESPAN
from eval.tasks.language import EVERYDAY, FACTS, PAIRS, PROSE
from eval.tasks.robustness import FACT_FORMATS, ROBUSTNESS, WORDINGS
from eval.tasks.speed import SPEED
from eval.tasks.tools import EXAM, PROBES, RECOVERY

SUITE = Suite(
    name="assistant",
    about="Is this assistant good enough, and better than the one before?",
    tasks=(
        *(KNOWLEDGE, selfcheck.TASK, grounding.TASK),
        *(ROBUSTNESS, WORDINGS, FACT_FORMATS, LIFESPAN),
        *(EXAM, PROBES, RECOVERY),
        *(PROSE, FACTS, PAIRS, EVERYDAY),
        SPEED,
    ),
    headlines=(
        "knowledge.honesty",
        "knowledge.fact.right",
        "knowledge.premise.right",
        "robustness.reworded.consistency",
        "lifespan.balanced",
        "tools.same_call",
        "tools.calling",
        "prose.bits_per_byte",
        "speed.first_token_s.1_in_flight.median",
    ),
)
