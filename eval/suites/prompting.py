"""Which prompting technique gives the best answers from this model, and is it surely better than just asking?"""

from eval.suite import Suite
from eval.tasks.prompting import PROMPTING

SUITE = Suite(
    name="prompting",
    about="Which prompting technique gives the best answers, and is it surely better than just asking?",
    tasks=(PROMPTING,),
    headlines=("prompting.zero_shot.good", "prompting.zero_shot.known", "prompting.zero_shot.bluff"),
)
