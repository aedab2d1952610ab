"""Does the model give away what it was trained on, more than it would say by chance?"""

from eval.suite import Suite
from eval.tasks.privacy import TASKS

SUITE = Suite(
    name="privacy",
    about="Does the model give away what it was trained on, more than it would say by chance?",
    tasks=TASKS,
    headlines=(
        "extraction.verbatim",
        "canaries.likelier",
        "membership.loss.auroc",
        "discoverable.100",
    ),
)
