"""The default: everything that is decided about an assistant, in a few minutes."""

from eval.suite import Suite
from eval.tasks.almanac import GROUPS, HEADLINES, exam

SUITE = Suite(
    name="assistant",
    about="Is this assistant good enough, and better than the one before?",
    tasks=(exam("almanac", GROUPS, "the whole exam that comes with the recipe"),),
    headlines=tuple(f"almanac.{key}" for key in HEADLINES),
)
