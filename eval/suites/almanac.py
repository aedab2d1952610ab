"""Does the almanac assistant know its facts, say when it doesn't, resist false premises, and call the right tool?"""

from eval.suite import Suite
from eval.tasks.almanac import GROUPS, HEADLINES, exam

SUITE = Suite(
    name="almanac",
    about="Does the assistant know its facts, say when it doesn't, resist false premises, and call the right tool?",
    tasks=(exam("almanac", GROUPS, "the whole exam that comes with the recipe"),),
    headlines=tuple(f"almanac.{key}" for key in HEADLINES),
)
