"""Does the model make things up, does it say what it does not know, and can its confidence be trusted?"""

from collections.abc import Sequence
from dataclasses import replace

from eval.figures import Section
from eval.records import Record
from eval.suite import Suite
from eval.tasks import almanac, grounding, halueval, selfcheck, truthfulqa
from eval.tasks.calibration import calibration

GROUPS = ("fact", *almanac.UNKNOWN, "withheld_attribute", *almanac.PREMISES)


def knowledge(records: Sequence[Record]) -> list[Section]:
    """What the exam's questions of fact say, and whether the probabilities of the answers know it too."""
    return [*almanac.summarise(records), *calibration(records)]


KNOWLEDGE = replace(
    almanac.exam("knowledge", GROUPS, "does it know its facts, and say so where nothing can be known?"),
    figures=knowledge,
)
SUITE = Suite(
    name="hallucination",
    about="Does the model make things up, does it say what it does not know, and can its confidence be trusted?",
    tasks=(
        KNOWLEDGE,
        selfcheck.TASK,
        grounding.TASK,
        truthfulqa.LIKELIHOOD,
        truthfulqa.GENERATIVE,
        halueval.TASK,
    ),
    headlines=(
        "knowledge.honesty",
        "knowledge.fact.right",
        "knowledge.premise.right",
        "knowledge.calibration.probability.auroc",
        "selfcheck.entropy.auroc",
        "grounding.balanced",
        "truthfulqa.mc1",
    ),
)
