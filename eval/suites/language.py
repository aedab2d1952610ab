"""Does the model know the language: how well does it predict texts, tell good sentences from bad, and recall facts?"""

from eval.suite import Suite
from eval.tasks.language import TASKS

SUITE = Suite(
    name="language",
    about="Does the model know the language: does it predict texts, tell good sentences from bad, and recall facts?",
    tasks=TASKS,
    headlines=("prose.bits_per_byte", "facts.bits_per_byte", "pairs.acc", "blimp.acc", "arc_easy.acc_norm"),
)
