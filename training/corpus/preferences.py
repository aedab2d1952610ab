"""Preference pairs about the almanac's world, made from what is known to be true; no model judges.

A pair has the two answers to one question, and beside them, as "sample" and "scores", what the eval's own scores need
to judge any other answer to it.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path

from training.corpus import almanac
from training.corpus.almanac.chat import Conversations
from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.questions import Questions
from training.corpus.almanac.requests import Request
from training.corpus.almanac.wordings import capitalised
from training.corpus.almanac.world import Fact, read_yaml

KINDS = {"right": 0.3, "honest": 0.32, "premise": 0.15, "brief": 0.06, "tool": 0.1, "talk": 0.03, "balanced": 0.04}
UNKNOWN = "something I don't know."
OVERCAUTIOUS = 0.4  # of the pairs about known facts: the worse answer is "I don't know", in the others a wrong value


def preferences(
    seed: int, kinds: Mapping[str, float] = KINDS, token_count: Callable[[str], int] | None = None
) -> Iterator[dict]:
    """Endless pairs: `{"prompt", "chosen", "rejected"}` as messages, "kind", "sample" and "scores".

    `kinds` has the share of each. With `token_count` made-up names have as many tokens as real ones.
    """
    pairs, rng = Pairs(token_count), random.Random(seed)
    while True:
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        yield {"kind": kind, **getattr(pairs, kind)(rng)}


class Pairs(Questions):
    """Draws pairs, a method for each of `KINDS`."""

    def __init__(self, token_count: Callable[[str], int] | None = None) -> None:
        world = almanac.world()
        super().__init__(world, MadeUpNames(world, token_count=token_count), almanac.phrasing())
        self.requests = almanac.requests()
        self.talks = Conversations(self, self.requests, self.phrasing)
        self._values: dict[str, list[str]] = defaultdict(list)
        for relation, values in world.values.items():
            self._values[relation.noun] += [relation.said(value) for value in values]

    def right(self, rng: random.Random) -> dict:
        """The fact against a wrong value, or against silence."""
        fact = self.fact(rng)
        wrong = fact.relation.unknown(fact.entity)
        if rng.random() >= OVERCAUTIOUS:
            wrong = fact.relation.statement(fact.entity, self.wrong_value(rng, fact))
        return _spoken(self._asked(rng, fact.relation, fact.entity), fact.statement, wrong, _of_fact(fact))

    def honest(self, rng: random.Random) -> dict:
        """ "I don't know" against an invention, about what is made up or stands in no table."""
        [(question, answer)] = self.unknown(rng)
        nouns = [noun for noun in self._values if answer.startswith(f"The {noun} of ")]  # "number", "number of legs"
        values = self._values[max(nouns, key=len)] if nouns else rng.choice(list(self._values.values()))
        invented = answer.replace(UNKNOWN, f"{rng.choice(values)}.")
        return _spoken(
            question, answer, invented, {"group": "made_up", "known": "made_up", "answers": [], "entity": ""}
        )

    def premise(self, rng: random.Random) -> dict:
        """The true value against the claimed one, of a claim that is wrong."""
        fact = self.fact(rng)
        claimed = self.wrong_value(rng, fact)
        relation, says = fact.relation, f"You say {fact.relation.said(claimed)}."
        question = self._filled(rng, self.phrasing.premise(rng), relation, fact.entity, claimed)
        sample = _of_fact(fact) | {"group": "premise_false", "wrong": [claimed]}
        return _spoken(
            question, f"{says} {fact.statement}", f"{says} {relation.statement(fact.entity, claimed)}", sample
        )

    def brief(self, rng: random.Random) -> dict:
        """The answer against the answer and more."""
        fact = self.fact(rng)
        more = " ".join(self.fact(rng).statement for _ in range(rng.randint(1, 3)))
        return _spoken(
            self._asked(rng, fact.relation, fact.entity), fact.statement, f"{fact.statement} {more}", _of_fact(fact)
        )

    def tool(self, rng: random.Random) -> dict:
        """The call that is due against one with another's arguments or of another tool, or against words."""
        request = self.requests.draw(rng)
        other = self.requests.draw(rng, request.tool if request.arguments and rng.random() < 0.6 else None)
        is_same = (other.tool, other.arguments) == (request.tool, request.arguments)
        wrong = {"content": request.answer} if is_same or rng.random() < 0.25 else _called(other)
        sample = {"group": "tool", "tool": {"name": request.tool, "arguments": request.arguments, "also": []}}
        return _pair(request.question, _called(request), wrong, sample, "exact_call")

    def talk(self, rng: random.Random) -> dict:
        """Words against a call that nobody asked for."""
        said, answer = self.talks.not_asked(rng) if rng.random() < 0.5 else self.talks.small_talk(rng)
        sample = {"group": "no_tool", "tool": None}
        return _pair(said, {"content": answer}, _called(self.requests.draw(rng)), sample, "no_call")

    def balanced(self, rng: random.Random) -> dict:
        """That it depends on the person, against a stereotype."""
        opinions = _opinions()
        one, other = rng.sample(rng.choice(list(chain.from_iterable(opinions["groups"].values()))), 2)
        words = {"a": one, "b": other, "doing": rng.choice(opinions["doing"])}

        def drawn(part: str) -> str:
            return capitalised(rng.choice(opinions[part]).format(**words))

        return _pair(drawn("ask"), {"content": drawn("balanced")}, {"content": drawn("stereotyped")}, {})


def _of_fact(fact: Fact) -> dict:
    return {"group": "fact", "known": "yes", "answers": [fact.value, *fact.aliases], "wrong": [], "entity": fact.entity}


def _called(request: Request) -> dict:
    call = {"id": "call_1", "type": "function", "function": {"name": request.tool, "arguments": request.arguments}}
    return {"content": "", "tool_calls": [call]}


def _spoken(question: str, chosen: str, rejected: str, sample: dict) -> dict:
    scores = ("honesty", "informed") if sample["answers"] else ("honesty",)
    return _pair(question, {"content": chosen}, {"content": rejected}, sample, *scores)


def _pair(question: str, chosen: dict, rejected: dict, sample: dict, *scores: str) -> dict:
    return {
        "prompt": [{"role": "user", "content": question}],
        "chosen": [{"role": "assistant", **chosen}],
        "rejected": [{"role": "assistant", **rejected}],
        "sample": sample,
        "scores": list(scores),
    }


@cache
def _opinions() -> dict:
    return read_yaml(Path(__file__).parent / "opinions.yaml")
