"""Which option does a model take? For samples with "choices" and "answer", the index of the right one."""

from eval.replies import Scored
from eval.scores.score import Sample, score


@score(
    formula="1 if the option with the highest sum of log-probabilities is the right one, else 0",
    source='"acc" of the Language Model Evaluation Harness (Gao et al. 2021)',
    caveat="longer options have lower sums; chance is one by the number of options",
)
def right_option(sample: Sample, reply: Scored) -> bool | None:
    return None if (taken := _taken(reply)) is None else taken == sample["answer"]


@score(
    formula="the text of the option with the highest sum of log-probabilities; unread where several have it",
    source="ours",
    caveat="says nothing of how close the others were",
    better="",
)
def option_taken(sample: Sample, reply: Scored) -> str | None:
    return None if (taken := _taken(reply)) is None else sample["choices"][taken]


def _taken(reply: Scored) -> int | None:
    best = max(reply.logprobs)
    return reply.logprobs.index(best) if reply.logprobs.count(best) == 1 else None
