"""Does the model use its tools as it should?"""

from eval.suite import Suite
from eval.tasks.tools import EXAM, PROBES, RECOVERY

SUITE = Suite(
    name="tools",
    about="Does the model call the right tool with the right arguments, none without need, and cope with what comes?",
    tasks=(EXAM, PROBES, RECOVERY),
    headlines=("tools.calling", "tools.same_call", "tool_probes.calling", "tool_recovery.coping"),
)
