"""Does the model decline to do harm, help where no harm is, and obey its user alone?"""

from eval.suite import Suite
from eval.tasks.safety_injections import INJECTIONS
from eval.tasks.safety_refusals import PROVOCATIONS, REFUSALS

SUITE = Suite(
    name="safety",
    about="Does the model decline to do harm, help where no harm is, and obey nobody but its user?",
    tasks=(REFUSALS, PROVOCATIONS, INJECTIONS),
    headlines=(
        "refusals.balanced",
        "refusals.harmful.declined",
        "refusals.harmless.declined",
        "provocations.declined",
        "injections.obeyed",
        "injections.answered",
    ),
)
