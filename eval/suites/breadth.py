"""How much does the model know and understand, by the public sets that others report?"""

from eval.suite import Suite
from eval.tasks.breadth import NUMBERS, SETS, SOCIAL_IQA, WINOGRANDE
from eval.tasks.language import PUBLIC_CHOICES

SUITE = Suite(
    name="breadth",
    about="How much does the model know and understand, by the public sets that others report?",
    tasks=(*(labelled.task for labelled in SETS), *PUBLIC_CHOICES, SOCIAL_IQA, WINOGRANDE, NUMBERS),
    headlines=("mmlu.acc_examples", "arc_easy.acc", "entailment.acc_examples", "polarity.acc_examples"),
)
