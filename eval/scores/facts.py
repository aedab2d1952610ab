"""Is a fact stated as it is? For samples that list the ways to say the right value in "answers"."""

from eval.replies import Answer
from eval.scores.almanac import fact_outcome
from eval.scores.score import Sample, score


@score(
    formula='1 if the answer states one of the sample\'s "answers" as its own claim, none of the other values that the '
    'sample knows ("wrong", "values"), and does not refuse, else 0',
    source="exact match with aliases as in TriviaQA (Joshi et al. 2017, arXiv:1705.03551), made strict",
    caveat="surface only: a synonym that is not listed is missed, and a value said in passing counts, a wrong one too; "
    "where the sample knows no others, a list of guesses that holds the value is right",
)
def right(sample: Sample, reply: Answer) -> bool:
    return fact_outcome(sample, reply) == "right"
