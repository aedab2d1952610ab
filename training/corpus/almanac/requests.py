"""Exchanges in which a tool is due: a request, the call in Hermes format, mostly its result, and the answer from it."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from training.corpus.almanac.wordings import Phrasing, capitalised, composed, is_free

SYMBOLS = {
    "+": ("plus", "and", "added to"),
    "-": ("minus", "less"),
    "*": ("times", "multiplied by", "x"),
    "/": ("divided by", "over"),
}


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
    """Draws requests for the four tools."""

    def __init__(self, phrasing: Phrasing):
        self.phrasing, self.words = phrasing, phrasing.words
        self.stories = [
            story
            for story in phrasing.frames["stories"]
            if is_free(story[0].replace("{a}", "{n}").replace("{b}", "{n}"))
        ]

    def draw(self, rng: random.Random, tool: str | None = None) -> Request:
        tool = tool or rng.choices(("generate_image", "calculate", "search_documents", "now"), (8, 6, 7, 4))[0]
        request: Request = getattr(self, f"_{tool}")(rng)
        if rng.random() < 0.06:
            reason = rng.choice(self.phrasing.frames["failures"])
            return Request(
                request.question, tool, request.arguments, f"error: {reason}", f"That did not work: {reason}."
            )
        return request

    def _words(self, rng: random.Random, pool: list[str]) -> str:
        return self.words.made_up(rng) if rng.random() < 0.05 else rng.choice(pool)

    def noun_phrase(self, rng: random.Random) -> str:
        """Determiner, adjectives, noun and what it is doing; any of them may be missing."""
        many = rng.random() < 0.25
        determiners = self.words.plural_determiners if many else self.words.determiners
        parts = [self._words(rng, self.words.adjectives) for _ in range(rng.choice((0, 0, 1, 1, 1, 2)))]
        parts.append(
            self._words(
                rng, self.words.plurals if many else self.words.nouns if rng.random() < 0.92 else self.words.mass
            )
        )
        if rng.random() < 0.12:
            parts.append(self._words(rng, self.words.nouns))
        if rng.random() < (0.8 if not many else 0.4):
            determiner = rng.choice(determiners)
            parts.insert(0, "an" if determiner == "a" and parts[0][0] in "aeiou" else determiner)
        if rng.random() < 0.18:
            parts.append(self._words(rng, self.words.verbs))
        return " ".join(parts)

    def picture(self, rng: random.Random) -> str:
        """What a picture may show: "a red circle above two sleepy cats at night"."""
        text = self.noun_phrase(rng)
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            text += f" {rng.choice((*self.words.prepositions, 'and', 'and'))} {self.noun_phrase(rng)}"
        if rng.random() < 0.15:
            text += f" {rng.choice(self.words.scenes)}"
        if rng.random() < 0.12:
            style = rng.choice(self.words.styles) if rng.random() < 0.8 else self.words.made_up(rng)
            text += rng.choice(
                (f", {style} style", f" in {style} style", f" as a {style}", f", {style}", f" in the style of {style}")
            )
        return text

    def topic(self, rng: random.Random) -> str:
        """What one looks for in one's papers: "the flight to Kelmira", "rent"."""
        head = " ".join(self._words(rng, self.words.topics) for _ in range(rng.choice((1, 1, 2, 2, 3))))
        if rng.random() < 0.35:
            head = f"{rng.choice(('the', 'my', 'our', 'a', 'all', 'any', 'last', 'this', 'the new', 'the old'))} {head}"
        if rng.random() < 0.3:
            tail = self._words(rng, self.words.topics if rng.random() < 0.6 else self.words.nouns)
            if rng.random() < 0.3:
                tail = rng.choice(
                    (rng.choice(self.words.names), str(rng.randrange(1990, 2031)), self.words.made_up(rng).capitalize())
                )
            head += f" {rng.choice(('for', 'of', 'from', 'with', 'in', 'and', 'about', 'to', 'on'))} {tail}"
        return head

    def _finish(self, rng: random.Random, frame: str, slot: str, content: str) -> str:
        before, after = frame.split(slot)
        before = capitalised(before) if rng.random() < 0.85 else before[:1].lower() + before[1:]
        text = f"{before}{content}{after}"
        return text.rstrip(".?! ") if rng.random() < 0.1 else text

    def _around(self, rng: random.Random, frame: str) -> str:
        return self.phrasing._dressed(rng, frame) if rng.random() < 0.35 else frame

    def _generate_image(self, rng: random.Random) -> Request:
        frames = self.phrasing.frames["tools"]["generate_image"]

        frame = self._requested(rng, frames, whole=0.35)
        prompt = self.picture(rng)
        question = self._finish(rng, frame, "{p}", prompt)
        return Request(question, "generate_image", {"prompt": prompt}, "done", f"Here is your picture of {prompt}.")

    def _requested(self, rng: random.Random, frames: dict[str, list[str]], whole: float) -> str:
        """A frame for a request; the share `whole` is written out, the others are composed."""

        def make(r: random.Random) -> str:
            return self._lead(r, r.choice(frames["whole"]) if r.random() < whole else composed(r, frames))

        return self.phrasing.free(make, rng)

    def _lead(self, rng: random.Random, frame: str) -> str:
        """Something before a request; nothing after it, where it would belong to the argument."""
        kind = rng.random()
        if kind < 0.62:
            return frame
        if kind < 0.82:
            return rng.choice(self.phrasing.frames["openers"]) + frame
        return capitalised(self.words.filler(rng)) + rng.choice((", ", ". ", ": ", "! ")) + frame

    def _search_documents(self, rng: random.Random) -> Request:
        frames = self.phrasing.frames["tools"]["search_documents"]

        frame = self._requested(rng, frames, whole=0.4)
        query = self.topic(rng) if rng.random() < 0.8 else self.noun_phrase(rng)
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
        passage = capitalised(self.picture(rng)) + "."
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
        frames = self.phrasing.frames["tools"]["calculate"]
        kind = rng.random()
        if kind < 0.2:
            question, expression = self._story(rng)
            return self._calculation(rng, question, expression, None)
        if kind < 0.26:
            big, small, factor = rng.choice(self.phrasing.frames["units"])
            n = rng.randrange(2, 200)
            frame = self.phrasing.free(lambda r: r.choice(self.phrasing.frames["convert"]), rng)
            return self._calculation(rng, frame.format(s=small, b=big, n=n), f"{n} * {factor}", Fraction(n * factor))
        if kind < 0.4:
            shown, expression = rng.choice(self.phrasing.frames["spelt"])
            numbers = {"a": rng.randrange(2, 500), "b": rng.randrange(2, 500)}
            shown, expression, value = shown.format(**numbers), expression.format(**numbers), None
        else:
            expression, value = self.expression(rng)
            shown = self._typed_expression(rng, expression)

        frame = self._requested(rng, frames, whole=0.6)
        question = self._finish(rng, frame, "{x}", shown)
        return self._calculation(rng, question, expression, value)

    def _story(self, rng: random.Random) -> tuple[str, str]:
        frame, expression = rng.choice(self.stories)
        slots = {
            "a": rng.randrange(2, 1000),
            "b": rng.randrange(2, 200),
            "things": rng.choice(self.words.plurals),
            "name": rng.choice(self.words.names),
        }
        frame = self.phrasing.free(lambda r: self._lead(r, frame), rng)
        return self.phrasing.typed(
            rng, frame.format(**slots), keep=(str(slots["a"]), str(slots["b"]))
        ), expression.format(**slots)

    def _calculation(self, rng: random.Random, question: str, expression: str, value: Fraction | None) -> Request:
        if value is None:
            parts = expression.split(" ")
            value = self._value([Fraction(p) for p in parts[::2]], parts[1::2], False)
        result = human(value)
        return Request(question, "calculate", {"expression": expression}, result, f"{expression} = {result}")

    def _now(self, rng: random.Random) -> Request:
        frames = self.phrasing.frames["tools"]["now"]

        def make(r: random.Random) -> str:
            return self._around(r, r.choice(frames["whole"]) if r.random() < 0.6 else composed(r, frames))

        question = self.phrasing.typed(rng, self.phrasing.free(make, rng))
        moment = datetime(2024, 1, 1) + timedelta(minutes=rng.randrange(10 * 365 * 24 * 60))
        shown = f"{moment:%A}, {moment.day} {moment:%B %Y}, {moment:%H:%M}"
        return Request(question.lower() if rng.random() < 0.15 else question, "now", {}, shown, f"It is {shown}.")
