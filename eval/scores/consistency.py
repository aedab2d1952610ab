"""Do answers to one question agree? Pure functions of the names of what was answered, and what they mean."""

from collections import Counter
from collections.abc import Sequence

from eval.meaning import Meaning

SAME_FOR_ALL = 0.5
"""From this share of all answers on, one answer to different questions makes agreement meaningless."""
CONSISTENCY = Meaning(
    formula="pairs of equal answers / all pairs of answers to one question, pooled over questions",
    source="consistency rate as in SCORE (Nalbandyan et al. 2025, arXiv:2503.00137), over unordered pairs",
    caveat="equal is: both right, both refused, the same listed value, or the same words; "
    "a model that is always wrong in the same way is consistent too: read it beside what is right",
)
WORST_CASE = Meaning(
    formula="share of questions that are answered right in every variant; where low is good, wrong in any",
    source="worst-case robustness of HELM (Liang et al. 2022, arXiv:2211.09110), by the direction of the score",
    caveat="falls with every variant that is added: compare it only at the same variants",
)
DROP = Meaning(
    formula="mean over questions of (value as asked originally - value in this variant); where low is good, its "
    "negative",
    source="paired difference; unlike the performance drop rate of PromptBench it is defined at an original of 0",
    caveat="among many variants the largest drop is partly chance: see the spread that chance alone makes",
    better="low",
    low=-1.0,
)
SPREAD = Meaning(
    formula="highest mean of a variant - lowest mean of a variant",
    source="FormatSpread (Sclar et al. 2023, arXiv:2310.11324)",
    caveat="grows with the number of variants and with noise: read it against the spread that chance alone makes, "
    "which comes from permuting the variants' labels within questions",
    better="low",
)
CONTRADICTION = Meaning(
    formula="share of questions to which two different values are stated in different variants",
    source="ours; contradiction by short answer instead of entailment",
    caveat="only values that the exam lists for the relation are seen, so it is a lower bound",
    better="low",
)
REFUSAL_FLIP = Meaning(
    formula='share of questions that are answered in some variants and met with "I don\'t know" in others',
    source="ours",
    caveat="grows with the number of variants",
    better="low",
)


def agreeing_pairs(names: Sequence[str]) -> tuple[int, int]:
    """How many of the unordered pairs are equal, and how many pairs there are."""
    counts = Counter(names).values()
    return sum(n * (n - 1) // 2 for n in counts), len(names) * (len(names) - 1) // 2


def same_for_all(names: Sequence[str]) -> str:
    """Why the agreement of these answers to different questions says nothing, or "" if it says something."""
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count <= SAME_FOR_ALL * len(names):
        return ""
    return f"{100 * count / len(names):.0f} % of the answers to different questions are the same: {name[:40]!r}"
