"""Exchanges in which a tool is due: a request, the call in Hermes format, mostly its result, and the answer from it."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from training.corpus.almanac.phrases import Phrases
from training.corpus.almanac.wordings import Phrasing, capitalised, composed, read

SYMBOLS = {
    "+": ("plus", "and", "added to"),
    "-": ("minus", "less"),
    "*": ("times", "multiplied by", "x"),
    "/": ("divided by", "over"),
}
SIGN = re.compile(r"[-+*/]")


@dataclass(frozen=True)
class Request:
    """What was asked, the call that is due, what the tool returned, and the answer from that."""

    question: str
    tool: str
    arguments: dict[str, str]
    result: str
    answer: str


def human(value: Fraction) -> str:
    """A number as a person writes it: at most ten significant digits, no exponent, no trailing zeros."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.10g}"


class Requests:
    """Draws requests for the four tools. `known` are names that facts are about: tools are asked for those as well."""

    def __init__(self, phrasing: Phrasing, known: list[str]):
        self.phrasing, self.words = phrasing, phrasing.words
        self.phrases = Phrases(phrasing.words, known)
        self.frames, self.sums = read("requests"), read("sums")
        self.stories = {sign: [s for s in self.sums["stories"] if SIGN.search(s[1])[0] == sign] for sign in "+-*/"}

    def draw(self, rng: random.Random, tool: str | None = None) -> Request:
        tool = tool or rng.choices(("generate_image", "calculate", "search_documents", "now"), (11, 8, 8, 5))[0]
        request: Request = getattr(self, f"_{tool}")(rng)
        if rng.random() < 0.06:
            reason = rng.choice(self.frames["failures"])
            return Request(
                request.question, tool, request.arguments, f"error: {reason}", f"That did not work: {reason}."
            )
        return request

    def _finish(self, rng: random.Random, frame: str, slot: str, content: str) -> str:
        """The frame filled in. A message mostly opens with a capital, also where it opens with the argument."""
        before, after = frame.split(slot)
        case = rng.random()
        if case < 0.82:
            before, content = capitalised(before), content if before else capitalised(content)
        elif case < 0.9:
            before, after = before.lower(), after.lower()
        else:
            before = before[:1].lower() + before[1:]
        text = f"{before}{content}{after}"
        return text.rstrip(".?! ") if rng.random() < 0.1 else text

    def _around(self, rng: random.Random, frame: str) -> str:
        return self.phrasing._dressed(rng, frame) if rng.random() < 0.35 else frame

    def _generate_image(self, rng: random.Random) -> Request:
        frames = self.frames["tools"]["generate_image"]

        frame = self._requested(rng, frames, whole=0.45)
        prompt = self.phrases.picture(rng)
        question = self._finish(rng, frame, "{p}", prompt)
        return Request(question, "generate_image", {"prompt": prompt}, "done", f"Here is your picture of {prompt}.")

    def _requested(self, rng: random.Random, frames: dict[str, list[str]], whole: float) -> str:
        """A frame for a request: a plain one, one written out (the share `whole` of the others), or a composed one."""

        def make(r: random.Random) -> str:
            if r.random() < 0.15:
                return self._lead(r, r.choice(frames["plain"]))
            return self._lead(r, r.choice(frames["whole"]) if r.random() < whole else composed(r, frames))

        return self.phrasing.free(make, rng)

    def _lead(self, rng: random.Random, frame: str) -> str:
        """Something before a request; nothing after it, where it would belong to the argument."""
        kind = rng.random()
        if kind < 0.66:
            return frame
        if kind < 0.88:
            return rng.choice(self.phrasing.frames["openers"]) + frame
        return capitalised(self.words.filler(rng)) + rng.choice((", ", ". ", ": ", "! ")) + frame

    def _search_documents(self, rng: random.Random) -> Request:
        frames = self.frames["tools"]["search_documents"]

        frame = self._requested(rng, frames, whole=0.45)
        query = self.phrases.topic(rng) if rng.random() < 0.9 else self.phrases.noun_phrase(rng)
        question = self._finish(rng, frame, "{q}", query)
        if rng.random() < 0.25:
            return Request(
                question,
                "search_documents",
                {"query": query},
                "nothing found",
                f"I found nothing about {query} in your documents.",
            )
        file = f"{rng.choice(self.words.topics)}.{rng.choice(('txt', 'md', 'pdf', 'html'))}"
        passage = capitalised(self.phrases.picture(rng)) + "."
        return Request(
            question, "search_documents", {"query": query}, f"{file}: {passage}", f"In {file} I found: {passage}"
        )

    def _number(self, rng: random.Random) -> str:
        if rng.random() < 0.1:
            return f"{rng.randrange(100)}.{rng.randrange(1, 100)}"
        return str(rng.randrange(1, 10 ** rng.choice((1, 2, 2, 3, 3, 4))))

    def expression(self, rng: random.Random) -> tuple[str, Fraction]:
        """Two to four numbers with + - * / and perhaps brackets, one blank around each sign; and its value."""
        count = rng.choice((2, 2, 2, 2, 3, 3, 4))
        numbers, signs = [self._number(rng) for _ in range(count)], [rng.choice("+-*/+-*") for _ in range(count - 1)]
        bracket = count > 2 and rng.random() < 0.4
        text = numbers[0]
        for i, sign in enumerate(signs):
            text += f" {sign} {numbers[i + 1]}"
            if bracket and i == 0:
                text = f"({text})"
        return text, self._value([Fraction(n) for n in numbers], list(signs), bracket)

    @staticmethod
    def _value(numbers: list[Fraction], signs: list[str], bracket: bool) -> Fraction:
        apply = {
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
            "/": lambda a, b: a / b if b else Fraction(0),
        }
        if bracket:
            numbers[:2] = [apply[signs.pop(0)](numbers[0], numbers[1])]
        for level in ("*/", "+-"):
            i = 0
            while i < len(signs):
                if signs[i] in level:
                    numbers[i : i + 2] = [apply[signs.pop(i)](numbers[i], numbers[i + 1])]
                else:
                    i += 1
        return numbers[0]

    def _typed_expression(self, rng: random.Random, expression: str) -> str:
        if "(" not in expression and rng.random() < 0.35:
            return " ".join(rng.choice(SYMBOLS[part]) if part in SYMBOLS else part for part in expression.split(" "))
        if rng.random() < 0.35:
            return expression.replace(" ", "").replace("*", rng.choice("***x"))
        return expression

    def _calculate(self, rng: random.Random) -> Request:
        frames = self.frames["tools"]["calculate"]
        kind = rng.random()
        if kind < 0.34:
            question, expression = self._story(rng)
            return self._calculation(rng, question, expression, None)
        if kind < 0.44:
            question, expression = self._command(rng)
            return self._calculation(rng, question, expression, None)
        if kind < 0.49:
            big, small, factor = rng.choice(self.sums["units"])
            n = rng.randrange(2, 200)
            frame = self.phrasing.free(lambda r: r.choice(self.sums["convert"]), rng)
            return self._calculation(rng, frame.format(s=small, b=big, n=n), f"{n} * {factor}", Fraction(n * factor))
        if kind < 0.6:
            shown, expression, _ = self._told(rng, *rng.choice(self.sums["spelt"]))
            value = None
        else:
            expression, value = self.expression(rng)
            shown = self._typed_expression(rng, expression)

        frame = self._requested(rng, frames, whole=0.4)
        question = self._finish(rng, frame, "{x}", shown)
        return self._calculation(rng, question, expression, value)

    def _story(self, rng: random.Random) -> tuple[str, str]:
        """A sum told as a short story, and the expression it asks for; each sign opens as many expressions."""
        return self._worded(rng, lambda r: r.choice(self.stories[r.choice("+-*/")]))

    def _command(self, rng: random.Random) -> tuple[str, str]:
        """A sum as an order, and the expression it asks for."""

        def make(r: random.Random) -> tuple[str, str]:
            command, expression = r.choice(self.sums["commands"])
            return r.choice(self.sums["commanded"]).replace("{x}", command), expression

        return self._worded(rng, make)

    def _worded(self, rng: random.Random, draw: Callable[[random.Random], tuple[str, str]]) -> tuple[str, str]:
        expression = ""

        def make(r: random.Random) -> str:
            nonlocal expression
            told, expression = draw(r)
            return self._lead(r, told)

        frame = self.phrasing.free(make, rng)
        question, expression, numbers = self._told(rng, frame, expression)
        return self.phrasing.typed(rng, question, keep=numbers), expression

    def _told(self, rng: random.Random, told: str, expression: str) -> tuple[str, str, tuple[str, ...]]:
        """A sum in words and its expression, both with the same numbers filled in, and these numbers."""
        numbers = {name: str(rng.randrange(2, 10 ** rng.choice((1, 2, 2, 3)))) for name in "abc"}
        numbers["b"] = str(rng.randrange(2, 100)) if rng.random() < 0.5 else numbers["b"]
        if expression.startswith(("{a} -", "{a} /")) and rng.random() < 0.8:  # one mostly takes less from more
            numbers["b"], numbers["a"] = sorted((numbers["a"], numbers["b"]), key=int)
        slots = {"things": self.words.pick(rng, "plurals"), "name": rng.choice(self.words.names)}
        return told.format(**numbers, **slots), expression.format(**numbers), tuple(numbers.values())

    def _calculation(self, rng: random.Random, question: str, expression: str, value: Fraction | None) -> Request:
        if value is None:
            parts = expression.split(" ")
            value = self._value([Fraction(p) for p in parts[::2]], parts[1::2], False)
        result = human(value)
        return Request(question, "calculate", {"expression": expression}, result, f"{expression} = {result}")

    def _now(self, rng: random.Random) -> Request:
        frames = self.frames["tools"]["now"]

        def make(r: random.Random) -> str:
            return self._around(r, r.choice(frames["whole"]) if r.random() < 0.6 else composed(r, frames))

        question = self.phrasing.typed(rng, self.phrasing.free(make, rng))
        moment = datetime(2024, 1, 1) + timedelta(minutes=rng.randrange(10 * 365 * 24 * 60))
        shown = f"{moment:%A}, {moment.day} {moment:%B %Y}, {moment:%H:%M}"
        return Request(question.lower() if rng.random() < 0.15 else question, "now", {}, shown, f"It is {shown}.")
