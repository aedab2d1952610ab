"""What the tokens of a run cost by the user's own list of prices.

currency: EUR
models:                          # by the name in the table, or by the id that the endpoint was asked for
  big: {input: 0.25, output: 2}  # per million tokens
"""

from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.figures import Figure, unit_of
from eval.meaning import Meaning
from eval.replies import Answer
from eval.result import Result
from eval.statistics import Observation
from serving.errors import UserError

TOKENS_OF_A_PRICE = 1_000_000
RIGHT_ANSWERS = 1000
"""So many right answers together have a price that can be read."""
PER_RIGHT = Meaning(
    f"the cost of all answers to the questions of the figure, divided by how many were right, times {RIGHT_ANSWERS}",
    "cost of pass (Erol et al. 2025, arXiv:2504.13359)",
    "by the user's list of prices; requests that failed, or were sent again, are not in it",
    better="low",
    high=None,
)


class Price(BaseModel):
    """Of a million tokens."""

    model_config = ConfigDict(extra="forbid")
    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)

    def of(self, reply: Answer) -> float | None:
        """What the answer cost; None where the server did not count its tokens."""
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return None
        return (reply.prompt_tokens * self.input + reply.completion_tokens * self.output) / TOKENS_OF_A_PRICE


class Prices(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")
    currency: str = Field(min_length=1, max_length=12)
    models: dict[str, Price] = Field(min_length=1)


@dataclass(frozen=True)
class Cost:
    """What one run used, and what it cost."""

    prompt_tokens: int
    completion_tokens: int
    uncounted: int
    """Answers whose tokens the server did not count, and likelihoods: they are in none of the sums."""
    total: float | None
    """None without a price."""
    per_right: Figure | None
    """Per `RIGHT_ANSWERS` right answers; None without a price, or without a headline figure that counts them."""


def read_prices(path: Path) -> Prices:
    """The prices in the file. Raises `UserError` naming what cannot be used."""
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"There is no file of prices {path}: check its name.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"The prices {path} cannot be read ({said}): the file must be YAML in UTF-8.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"The prices {path} cannot be used: {where}: {first['msg']}.") from None


def cost_of(result: Result, price: Price | None) -> Cost:
    """Requests that are equal were sent, and are paid for, once."""
    sent = {record.request: record.reply for record in result.records if record.reply}
    answers = [reply for reply in sent.values() if isinstance(reply, Answer)]
    counted = [reply for reply in answers if None not in (reply.prompt_tokens, reply.completion_tokens)]
    return Cost(
        sum(reply.prompt_tokens for reply in counted),
        sum(reply.completion_tokens for reply in counted),
        len(sent) - len(counted),
        sum(price.of(reply) for reply in counted) if price and counted else None,
        _per_right(result, price) if price else None,
    )


def _per_right(result: Result, price: Price) -> Figure | None:
    """Of the first headline figure that says of single answers whether they are right."""
    records = {(record.task, unit_of(record)): record for record in result.records}
    for key in result.suite.headlines:
        figure = result.figures.get(key)
        if figure is None or figure.statistic != "share" or figure.better != "high":
            continue
        behind = [(o, records.get((key.split(".")[0], o.unit))) for o in figure.observations]
        if behind and all(record is not None and isinstance(record.reply, Answer) for _, record in behind):
            return _ratio(figure, [(o, price.of(record.reply)) for o, record in behind])
    return None


def _ratio(figure: Figure, costs: list[tuple[Observation, float | None]]) -> Figure:
    known = [o._replace(value=RIGHT_ANSWERS * cost, against=o.value) for o, cost in costs if cost is not None]
    lost = len(costs) - len(known)
    return replace(
        figure,
        key=f"{figure.key}.cost",
        statistic="ratio",
        observations=known,
        better="low",
        unit="number",
        meaning=PER_RIGHT,
        example="",
        unmeasurable=f"the tokens of {lost} answers were not counted" if lost else "",
    )
