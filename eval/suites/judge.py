"""What a judge, the model that is asked, says of answers, and whether it may be trusted; no other suite has one.

homegrown eval run --suite judge --base-url JUDGE --questions REPORTS/RUN/records.jsonl
homegrown eval run --suite judge --base-url JUDGE --questions PAIRS.jsonl
"""

from eval.suite import Suite
from eval.tasks.judged import JUDGED
from eval.tasks.judged_pairs import JUDGED_PAIRS

SUITE = Suite(
    name="judge",
    about="What does a judge, the model that is asked, say of recorded answers, and does it agree with people?",
    tasks=(JUDGED, JUDGED_PAIRS),
    headlines=(
        "judged.judged_correct",
        "preferences.agreement",
        "preferences.people",
        "preferences.consistent",
        "preferences.first",
    ),
)
