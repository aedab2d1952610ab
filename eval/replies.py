"""What comes back: words, a picture, likelihoods, a cosine, a report. Log-probabilities are natural logarithms."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args


class NoAnswer(Exception):
    """One request that got no usable reply; the run goes on."""


class Refused(NoAnswer):
    """The server will not answer this request, however often it is sent."""


@dataclass(frozen=True)
class Answer:
    """One answer as the server gave it. Log-probabilities are per token; None where the server sent none."""

    text: str
    tool_calls: list[dict] = field(default_factory=list)
    finish_reason: str | None = None
    logprob_mean: float | None = None
    logprob_min: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_s: float = 0.0
    token_times_s: list[float] | None = None
    """When each piece of a streamed answer came, counted from its sending; the first is the time to first token."""


@dataclass(frozen=True)
class Drawn:
    """What should be a picture: whatever bytes came, in a file beside the records that is called by their sha256."""

    file: Path
    latency_s: float = 0.0


@dataclass(frozen=True)
class Scored:
    """Log-likelihoods of the options of a `Choose`, or of the one text of a `Likelihood`."""

    logprobs: list[float]
    """One per option: the sum over its tokens. Finite: anything else is an error of the record."""
    tokens: list[int]
    """One per option: over how many tokens."""
    scoring: Literal["likelihood", "letters"] = "likelihood"
    """"letters": the server gives no log-probabilities, so the model was asked for a letter; `logprobs` is then 0 for
    the option chosen and -1 for the others, or all 0 when no letter could be read."""
    latency_s: float = 0.0
    by_token: list[float] | None = None
    """The log-probability of every token of the text of a `Likelihood`, from which those that read how a loss is made
    up start; None for a `Choose`."""


@dataclass(frozen=True)
class Compared:
    """How alike the two texts of a `Compare` are: 1 for the same, 0 where one of them says nothing to the embedder."""

    cosine: float
    latency_s: float = 0.0


@dataclass(frozen=True)
class Reported:
    """What another harness says of one sample: its own scores by name, and what the model answered."""

    values: dict[str, Any]
    text: str
    latency_s: float = 0.0


Reply = Answer | Drawn | Scored | Compared | Reported


def reply_as_json(reply: Reply) -> dict[str, Any]:
    place = {"file": reply.file.name} if isinstance(reply, Drawn) else {}
    return {"kind": type(reply).__name__.lower(), **vars(reply), **place}


def reply_from_json(fields: dict[str, Any], pictures: Path) -> Reply:
    """The reply that `reply_as_json` made these fields from, with its picture, if it is one, in `pictures`.

    Fields that are no longer kept are passed over: records outlive versions. Raises KeyError or TypeError for anything
    else.
    """
    kind = {kind.__name__.lower(): kind for kind in get_args(Reply)}[fields["kind"]]
    kept = {name: value for name, value in fields.items() if name in kind.__dataclass_fields__}
    return kind(**kept | {"file": pictures / Path(kept["file"]).name} if kind is Drawn else kept)
