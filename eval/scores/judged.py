"""What a judge, another model, says of an answer; only a verdict in the declared form is taken."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.replies import Answer, NoAnswer
from eval.scores.score import Sample, score


class Verdict(BaseModel):
    """The form of a judge's reply."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str
    verdict: Literal["correct", "incorrect", "refused"]


@score(
    formula='1 if the judge\'s verdict is "correct", 0 for "incorrect" and "refused"; any other reply is an error',
    source="model as judge (Zheng et al. 2023, arXiv:2306.05685), with the right answers at hand",
    caveat="a model's opinion: check it against people's; judges favour long answers and those of their own kind",
)
def judged_correct(sample: Sample, reply: Answer) -> bool:
    return read_verdict(reply).verdict == "correct"


def read_verdict(reply: Answer) -> Verdict:
    """Raises `NoAnswer` for anything but one JSON object of that form."""
    try:
        return Verdict.model_validate_json(reply.text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        raise NoAnswer(f"the judge gave no valid verdict ({where}: {first['msg']})") from None
