"""Does an embedder tell likeness of meaning? The model under test is an embedder: a folder, a hub id or an endpoint."""

from eval.suite import Suite
from eval.tasks import contrasts, yardsticks

SUITE = Suite(
    name="embedder",
    about="Does an embedder tell likeness of meaning, better than words alone?",
    tasks=(
        yardsticks.STS_B,
        yardsticks.SICK,
        yardsticks.STS,
        yardsticks.MSRP,
        yardsticks.WORDINGS,
        yardsticks.RANDOM_PAIRS,
        contrasts.TASK,
    ),
    headlines=(
        "stsb.spearman",
        "sick.spearman",
        "msrp.auroc",
        "almanac_wordings.auroc",
        "contrasts.fooled",
    ),
)
