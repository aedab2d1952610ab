"""What an answer says, as a name: two answers with the same name mean the same."""

from eval.replies import Answer
from eval.scores.refusal import refuses
from eval.scores.score import Sample, score
from eval.scores.text import words
from eval.scores.values import states_value

REFUSAL = "refusal"


@score(
    formula='"refusal", or the first alias of each of the sample\'s "values" that the answer states, or else its words',
    source="equivalence by short answer instead of entailment (Farquhar et al. 2024, Nature 630:625); the list is ours",
    caveat="a value that is not listed is compared by the words around it too: its rewordings look different",
    better="",
)
def stated(sample: Sample, reply: Answer) -> str:
    if refuses(reply.text):
        return REFUSAL
    entity, values = sample.get("entity", ""), sample.get("values", ())
    said = [aliases for aliases in values if states_value(reply.text, aliases, entity, _others(values, aliases))]
    return " + ".join(sorted(f"={aliases[0]}" for aliases in said)) or words(reply.text)


def _others(values: list[list[str]], own: list[str]) -> list[str]:
    return [alias for aliases in values if aliases is not own for alias in aliases]
