"""Plain text for pretraining: facts stated in many forms, profiles of things, sums and the calendar."""

import calendar
import random

from training.corpus.almanac.questions import Questions
from training.corpus.almanac.requests import Requests, human
from training.corpus.almanac.wordings import capitalised
from training.corpus.almanac.world import Fact


class Texts:
    """Draws documents of plain text about the taught part of the world."""

    def __init__(self, questions: Questions, requests: Requests):
        self.questions, self.requests = questions, requests

    def draw(self, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.5:
            return " ".join(self.stated(rng, self.questions.fact(rng)) for _ in range(rng.choice((1, 2, 3, 4))))
        if kind < 0.9:
            return self.profile(rng)
        if kind < 0.94:
            return rng.choice(self.questions.world.explanations)["answer"]
        if kind < 0.97:
            expression, value = self.requests.expression(rng)
            return f"{expression} = {human(value)}"
        return self.calendar(rng)

    def stated(self, rng: random.Random, fact: Fact) -> str:
        relation = fact.relation
        frame = rng.choice(self.questions.phrasing.frames["statement"]).replace(
            "{is}", "are" if relation.plural else "is"
        )
        return capitalised(frame.format(r=rng.choice(relation.nouns), e=fact.entity, v=relation.said(fact.value)))

    def profile(self, rng: random.Random) -> str:
        """Everything about one thing, in any order: each fact is seen beside its neighbours."""
        first = self.questions.fact(rng)
        facts = self.questions.world.about.get(first.entity, [first])[:]
        rng.shuffle(facts)
        if rng.random() < 0.4:
            listed = " ".join(f"{capitalised(f.relation.nouns[0])}: {f.value}." for f in facts[:5])
            return f"{capitalised(first.entity)}. {listed}"
        return " ".join(self.stated(rng, f) for f in facts[:5])

    @staticmethod
    def calendar(rng: random.Random) -> str:
        days, months = list(calendar.day_name), list(calendar.month_name)[1:]
        i, j = rng.randrange(7), rng.randrange(12)
        return rng.choice((
            f"The day after {days[i]} is {days[(i + 1) % 7]}. The day before {days[i]} is {days[i - 1]}.",
            f"The month after {months[j]} is {months[(j + 1) % 12]}. {months[j]} is month number {j + 1}.",
            f"{months[j]} has {calendar.monthrange(2023, j + 1)[1]} days.",
            f"A week has seven days: {', '.join(days[i:] + days[:i])}.",
        ))  # fmt: skip
