"""How near in meaning are the answers to their references, and how far can that be trusted?"""

from eval.suite import Suite
from eval.tasks import similarity

SUITE = Suite(
    name="similarity",
    about="How near in meaning are the answers to their references, and how far can that be trusted?",
    tasks=(similarity.TASK,),
    headlines=(
        "similarity.embedder",
        "similarity.right.embedder",
        "similarity.stsb.spearman",
        "similarity.contrasts.fooled",
    ),
)
