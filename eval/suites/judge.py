"""What does a judge say of recorded answers? The judge is the model that is asked; nothing is judged unless asked so.

homegrown eval run --suite judge --base-url JUDGE --questions REPORTS/RUN/records.jsonl
"""

from eval.suite import Suite
from eval.tasks.judged import JUDGED

SUITE = Suite(
    name="judge",
    about="What does a judge, the model that is asked, say of the answers that another run recorded?",
    tasks=(JUDGED,),
    headlines=("judged.judged_correct",),
)
