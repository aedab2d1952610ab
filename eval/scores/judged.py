"""What a judge, another model, says of an answer; only a verdict in the declared form is taken."""

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.replies import Answer, NoAnswer
from eval.scores.score import Sample, score


class Verdict(BaseModel):
    """The form of a judge's reply."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str
    verdict: Literal["correct", "incorrect", "refused"]


class Preference(BaseModel):
    """The form of a judge's reply to two answers."""

    model_config = ConfigDict(extra="forbid", strict=True)
    reason: str
    better: Literal["first", "second", "tie"]


Form = TypeVar("Form", bound=BaseModel)


@score(
    formula='1 if the judge\'s verdict is "correct", 0 for "incorrect" and "refused"; any other reply is an error',
    source="model as judge (Zheng et al. 2023, arXiv:2306.05685), with the right answers at hand",
    caveat="a model's opinion: check it against people's; judges favour long answers and those of their own kind",
)
def judged_correct(sample: Sample, reply: Answer) -> bool:
    return read_verdict(reply).verdict == "correct"


@score(
    formula='which of two answers the judge prefers: "a", "b" or "tie"; any other reply is an error',
    source="pairwise comparison by a model (Zheng et al. 2023, arXiv:2306.05685)",
    caveat="judges favour a place and the longer answer: each pair is shown in both orders",
    better="",
)
def judged_better(sample: Sample, reply: Answer) -> str:
    first, second = ("b", "a") if sample["swapped"] else ("a", "b")
    return {"first": first, "second": second, "tie": "tie"}[read_verdict(reply, Preference).better]


def read_verdict(reply: Answer, form: type[Form] = Verdict) -> Form:
    """Raises `NoAnswer` for anything but one JSON object of that form."""
    try:
        return form.model_validate_json(reply.text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the reply"
        raise NoAnswer(f"the judge gave no valid verdict ({where}: {first['msg']})") from None
