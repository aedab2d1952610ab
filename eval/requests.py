"""The kinds of request that a model can be sent, and how a sample becomes one."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from prompts.library import persona, tool_schemas

Sample = dict[str, Any]


@dataclass(frozen=True)
class Generate:
    """Answer: `body` is a chat completion without its model.

    `in_flight` gives requests a lane of their own, in which exactly so many are kept in flight while nothing else is
    (to measure speed); "stream" in the body makes the reply say when its tokens came.
    """

    body: dict
    in_flight: int | None = None


@dataclass(frozen=True)
class Draw:
    """Draw: `body` is a request for one picture without its model; `in_flight` is that of `Generate`."""

    body: dict
    in_flight: int | None = None


@dataclass(frozen=True)
class Continue:
    """How does `text` go on? Greedily and without a chat around it, as a model goes on with what it was trained on."""

    text: str
    max_tokens: int


@dataclass(frozen=True)
class Choose:
    """How likely is each of `options` after `context`? The blank between them belongs to the options."""

    context: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Likelihood:
    """How likely is `text`, as a document of its own, every token of it?"""

    text: str


@dataclass(frozen=True)
class Compare:
    """How alike are the two texts, by the cosine of their vectors? Asked of an embedder."""

    first: str
    second: str


@dataclass(frozen=True)
class Elsewhere:
    """What another harness asks and scores itself: its name there, and how it begins."""

    id: str
    prompt: str


Scorable = Choose | Likelihood | Continue | Compare | Elsewhere
"""What a model folder can answer without being served."""
Request = Generate | Draw | Scorable
Asking = Callable[[Sample, bool], Request]
"""Makes the request of a sample; the second argument leaves system prompt and tools out."""


def digest(value: Any) -> str:
    """sha256 of `value` as canonical JSON: the same for equal values whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def request_digest(request: Request) -> str:
    """The name of a request within a run of one model: equal ones are sent once, and not again after a crash."""
    return digest([type(request).__name__, vars(request)])


def chat(prompt: str = "{question}", max_tokens: int = 96, tools: bool = True, **parameters: Any) -> Asking:
    """Ask in a chat, greedily unless `parameters` say otherwise, with the persona and the tools as served.

    `prompt` is filled with the sample's fields. A sample may bring its own "messages" (whole, instead of the prompt)
    or "system" (instead of the persona; "" for none). A sample asked several times with a temperature has its repeat
    as the seed.
    """

    def asking(sample: Sample, plain: bool) -> Generate:
        asked = sample.get("messages") or [{"role": "user", "content": prompt.format(**sample)}]
        body = {"messages": asked, "temperature": 0, "max_tokens": max_tokens, "logprobs": True} | parameters
        if "seed" in sample:
            body["seed"] = sample["seed"]
        if not plain:
            system = sample.get("system", persona())
            body["messages"] = [{"role": "system", "content": system}, *asked] if system else asked
            body |= {"tools": _tools_as_served()} if tools else {}
        return Generate(body)

    return asking


@cache
def _tools_as_served() -> list[dict]:
    return tool_schemas()


def draw(prompt: str = "{caption}", in_flight: int | None = None) -> Asking:
    """Ask for a picture of the model's own size, with the sample's "seed"."""
    form = {"n": 1, "size": "auto", "output_format": "png", "response_format": "b64_json"}

    def asking(sample: Sample, plain: bool) -> Draw:
        return Draw({"prompt": prompt.format(**sample), "seed": sample["seed"], **form}, in_flight)

    return asking


def choice(context: str = "{question}", options: str = "choices", blank: str = " ") -> Asking:
    """Score each of the sample's `options` as what goes on from `context`, with `blank` between them."""

    def asking(sample: Sample, plain: bool) -> Choose:
        return Choose(context.format(**sample), tuple(f"{blank}{option}" for option in sample[options]))

    return asking


def compare(first: str = "first", second: str = "second") -> Asking:
    """Compare two fields of the sample."""
    return lambda sample, plain: Compare(sample[first], sample[second])


def document(field: str = "text") -> Asking:
    """Score the whole of one field of the sample as a text."""
    return lambda sample, plain: Likelihood(sample[field])
