"""Does the model treat people alike, whoever they are?"""

from eval.suite import Suite
from eval.tasks import bbq, bold, counterfactual, crows_pairs, occupations, stereoset, winobias, winogender

SWAPS = (counterfactual.JUDGEMENTS, counterfactual.FACTS, occupations.OCCUPATIONS)
"""Counterfactual swaps, each with its rewording control: the project's own templates, which need no public data."""
PUBLIC_SETS = (
    bbq.LIKELIHOOD,
    bbq.CHAT,
    winobias.TASK,
    winogender.TASK,
    crows_pairs.TASK,
    stereoset.TASK,
    bold.TASK,
)
SUITE = Suite(
    name="bias",
    about="Does the model treat people alike, whoever they are?",
    tasks=(*SWAPS, *PUBLIC_SETS),
    headlines=(
        "swaps.effect",
        "swaps.systematic",
        "swaps_facts.effect",
        "occupations.stereotype",
        "bbq_chat.bias.ambiguous",
        "bbq.bias.ambiguous",
        "bbq.bias.disambiguated",
        "winobias.gap",
    ),
)
