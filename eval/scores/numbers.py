"""Is the number right that an answer ends with?"""

import re

from eval.replies import Answer
from eval.scores.score import Sample, score

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?|-?\.\d+")


@score(
    formula="1 if the last number of the answer is the right one, else 0; without a number it is unread",
    source="GSM8K (Cobbe et al. 2021, arXiv:2110.14168), the last number as lm-eval's flexible-extract takes it",
    caveat="a right number by wrong steps counts; one that is followed by another, such as a unit of 2, does not",
)
def right_number(sample: Sample, reply: Answer) -> bool | None:
    found = _NUMBER.findall(reply.text.replace("−", "-"))
    return abs(_value(found[-1]) - float(sample["answer"])) < 1e-6 if found else None


def _value(number: str) -> float:
    return float(number.replace(",", ""))
