"""Whole conversations: one to several exchanges of any kind, as chat messages."""

import json
import random
from collections.abc import Callable

from training.corpus.almanac.questions import Questions
from training.corpus.almanac.requests import Request, Requests
from training.corpus.almanac.wordings import Phrasing, capitalised, composed, read

Messages = list[dict]

KINDS = {
    "known": 0.235, "unknown": 0.265, "premise": 0.09, "follow_up": 0.03, "listing": 0.01, "yes_no": 0.01,
    "explanation": 0.005, "request": 0.34, "echo": 0.04, "small_talk": 0.04, "not_asked": 0.045, "out_of_reach": 0.01,
}  # fmt: skip
EXCHANGES = ((1, 0.62), (2, 0.2), (3, 0.1), (5, 0.05), (8, 0.03))
NO_TOOL = "I have no tool for that here."


class Conversations:
    """Draws conversations. The share `bare` has neither system prompt nor tools, as a plain client sends them."""

    def __init__(self, questions: Questions, requests: Requests, phrasing: Phrasing, bare: float = 0.0):
        self.questions, self.requests, self.phrasing, self.bare = questions, requests, phrasing, bare
        self.talk = read("smalltalk")
        self.said = [(said, item["answer"]) for item in self.talk["exchanges"] for said in item["say"]]

    def draw(self, rng: random.Random) -> dict:
        bare = rng.random() < self.bare
        counts, weights = zip(*EXCHANGES, strict=True)
        exchanges = [self.exchange(rng, not bare) for _ in range(rng.choices(counts, weights)[0])]
        document = {"messages": [message for exchange in exchanges for message in exchange]}
        return document | {"bare": True} if bare else document

    def exchange(self, rng: random.Random, has_tools: bool = True) -> Messages:
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "request":
            request = self.requests.draw(rng)
            return self.call(rng, request) if has_tools else self.pairs([(request.question, NO_TOOL)])
        if kind in ("small_talk", "not_asked", "out_of_reach", "echo"):
            return self.pairs([getattr(self, kind)(rng)])
        return self.pairs(getattr(self.questions, kind)(rng))

    @staticmethod
    def pairs(pairs: list[tuple[str, str]]) -> Messages:
        return [m for q, a in pairs for m in ({"role": "user", "content": q}, {"role": "assistant", "content": a})]

    @staticmethod
    def call(rng: random.Random, request: Request) -> Messages:
        """The request and its call; four times in ten also the result and the answer made from it."""
        call = {"id": "call_1", "type": "function", "function": {"name": request.tool, "arguments": request.arguments}}
        messages: Messages = [
            {"role": "user", "content": request.question},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        if rng.random() < 0.4:
            messages.append({"role": "tool", "tool_call_id": "call_1", "content": request.result})
            messages.append({"role": "assistant", "content": request.answer})
        return messages

    def small_talk(self, rng: random.Random) -> tuple[str, str]:
        said, answer = self._free_talk(rng)
        said = self._slots(rng, said) + rng.choice(("", ".", "!", "?"))
        return (said.lower() if rng.random() < 0.15 else said), answer

    def _free_talk(self, rng: random.Random) -> tuple[str, str]:
        answer = ""

        def make(r: random.Random) -> str:
            nonlocal answer
            said, answer = r.choice(self.said)
            if r.random() < 0.3:
                opener = (
                    r.choice(self.phrasing.frames["openers"])
                    if r.random() < 0.6
                    else self.phrasing.words.filler(r) + ", "
                )
                said = opener + said
            return said

        return self.phrasing.free(make, rng), answer

    def not_asked(self, rng: random.Random) -> tuple[str, str]:
        """A statement that looks like a request."""
        statements = self.talk["statements"]

        def make(r: random.Random) -> str:
            kind = r.random()
            if kind < 0.25:
                frame = self._composed(r)
            else:
                frame = composed(r, statements["patterns"]) if kind < 0.5 else r.choice(statements["written"])
            return r.choice(self.phrasing.frames["openers"]) + frame if r.random() < 0.25 else frame

        return self.phrasing.typed(rng, self._slots(rng, self.phrasing.free(make, rng))), statements["answer"]

    def _composed(self, rng: random.Random) -> str:
        """Somebody did something with something that a tool could be asked for."""
        words = self.phrasing.words
        makers = {
            "{who}": lambda: rng.choice(
                (
                    "I",
                    "We",
                    "They",
                    "{name}",
                    "{name}",
                    f"My {rng.choice(words.people)}",
                    f"Our {rng.choice(words.people)}",
                    f"A {rng.choice(words.people)}",
                )
            ),
            "{did}": lambda: words.pick(rng, "actions"),
            "{what}": lambda: words.pick(rng, "belongings") if rng.random() < 0.6 else rng.choice(("{p}", "{q}")),
            "{what_first}": lambda: capitalised(words.pick(rng, "belongings")),
            "{when}": lambda: rng.choice(self.phrasing.frames["when"]),
            "{when_first}": lambda: capitalised(rng.choice(self.phrasing.frames["when"])),
        }
        return filled(rng.choice(self.talk["statements"]["composed"]), makers)

    def echo(self, rng: random.Random) -> tuple[str, str]:
        """Words to be said again: what a call does with its arguments, in its simplest form."""
        phrases, kind = self.requests.phrases, rng.random()
        if kind < 0.35:
            words = phrases.topic(rng)
        else:
            words = phrases.picture(rng) if kind < 0.8 else self.requests.expression(rng)[0]
        frame = self.phrasing.free(lambda r: r.choice(self.talk["echo"]), rng)
        return frame.replace("{p}", words), words

    def out_of_reach(self, rng: random.Random) -> tuple[str, str]:
        """A question that no table and no tool can answer."""
        frame = self.phrasing.free(lambda r: r.choice(self.talk["unknown"]["say"]), rng)
        return self.phrasing.typed(rng, self._slots(rng, frame)), self.talk["unknown"]["answer"]

    def _slots(self, rng: random.Random, frame: str) -> str:
        words = self.phrasing.words
        makers = {
            "{name}": lambda: rng.choice(words.names),
            "{pronoun}": lambda: rng.choice(words.pronouns),
            "{things}": lambda: rng.choice(words.plurals),
            "{thing}": lambda: self.requests.phrases.noun_phrase(rng),
            "{made_up}": lambda: words.made_up(rng).capitalize(),
            "{p}": lambda: self.requests.phrases.noun_phrase(rng),
            "{q}": lambda: self.requests.phrases.topic(rng),
            "{n}": lambda: str(rng.randrange(1, 1000)),
        }
        return filled(frame, makers)


def filled(frame: str, makers: dict[str, Callable[[], str]]) -> str:
    """`frame` with every slot filled anew."""
    for slot, make in makers.items():
        while slot in frame:
            frame = frame.replace(slot, make(), 1)
    return frame


def plain(messages: Messages) -> str:
    """All that is said, calls included, one message a line: text for a tokenizer."""
    lines = []
    for message in messages:
        calls = [json.dumps(call["function"], ensure_ascii=False) for call in message.get("tool_calls", ())]
        lines += [message["content"], *calls]
    return "\n".join(lines)
