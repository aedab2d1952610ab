"""What people ask pictures of and look for in their papers: "two sleepy cats under a red umbrella", "rent 2024"."""

import calendar
import random

from training.corpus.almanac.wordings import Vocabulary
from training.corpus.almanac.world import indefinite

YEARS = range(1990, 2036)
MONTHS = list(calendar.month_name)[1:]


class Phrases:
    """Composes noun phrases. `known` are names that facts are about: a tool may be asked for those as well."""

    def __init__(self, words: Vocabulary, known: list[str]):
        self.words, self.known = words, known

    def noun_phrase(self, rng: random.Random) -> str:
        """Determiner, adjectives and noun, any of the first two may be missing; or something known."""
        if self.known and rng.random() < 0.05:
            return rng.choice(self.known)
        kind = "plurals" if rng.random() < 0.22 else "mass" if rng.random() < 0.06 else "nouns"
        parts = [self.words.pick(rng, "adjectives") for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 1, 2)))]
        if rng.random() < 0.05:
            parts.append(self.words.pick(rng, "nouns"))
        parts.append(self.words.pick(rng, kind))
        if rng.random() < (0.5 if kind == "plurals" else 0.85):
            parts.insert(0, self._determiner(rng, kind == "plurals", parts[0]))
        return " ".join(parts)

    def _determiner(self, rng: random.Random, many: bool, following: str) -> str:
        if rng.random() < 0.08:
            return self._owner(rng)
        determiner = rng.choice(self.words.plural_determiners if many else self.words.determiners)
        return indefinite(following) if determiner == "a" else determiner

    def _owner(self, rng: random.Random) -> str:
        """ "my aunt's", "Nadia's"."""
        if rng.random() < 0.6:
            return f"{rng.choice(('my', 'our', 'the'))} {rng.choice(self.words.people)}'s"
        return f"{rng.choice(self.words.names)}'s"

    def picture(self, rng: random.Random) -> str:
        """What a picture may show: "a fox sleeping under a tree at night"."""
        text = self.noun_phrase(rng)
        kind = rng.random()
        if kind < 0.1:
            text += f" {self.words.pick(rng, 'verbs')}"
        elif kind < 0.75:
            text += f" {self._link(rng)} {self.noun_phrase(rng)}"
        if rng.random() < 0.1:
            text += f" {rng.choice(self.words.prepositions)} {self.noun_phrase(rng)}"
        if rng.random() < 0.12:
            text += f" {self.words.pick(rng, 'scenes')}"
        if rng.random() < 0.08:
            style = self.words.pick(rng, "styles")
            text += rng.choice((f", {style} style", f" in {style} style", f" in the style of {style}"))
        return text

    def _link(self, rng: random.Random) -> str:
        """What joins two things in a picture: "behind", "and", "eating", "sleeping under", "made of"."""
        kind = rng.random()
        if kind < 0.4:
            return rng.choice(self.words.prepositions)
        if kind < 0.55:
            return "and"
        if kind < 0.65:
            return self.words.pick(rng, "verbs")
        if kind < 0.85:
            return f"{self.words.pick(rng, 'verbs')} {rng.choice(self.words.prepositions)}"
        return rng.choice(self.words.links)

    def topic(self, rng: random.Random) -> str:
        """What one looks for in one's papers: "the flight to Kelmira", "rent", "warranty of our old fridge 2021"."""
        text = self._head(rng)
        if rng.random() < 0.3:
            text = f"{self._topic_determiner(rng)} {text}"
        if rng.random() < 0.25:
            text += f" {rng.choice(self.words.topic_links)} {self._detail(rng)}"
        if rng.random() < 0.08:
            text += f" {rng.choice((str(rng.choice(YEARS)), rng.choice(MONTHS), rng.choice(MONTHS).lower()))}"
        return text

    def _head(self, rng: random.Random) -> str:
        return " ".join(self.words.pick(rng, "topics") for _ in range(rng.choice((1, 1, 1, 1, 1, 2, 2, 2))))

    def _topic_determiner(self, rng: random.Random) -> str:
        if rng.random() < 0.15:
            return self._owner(rng)
        return rng.choice(("the", "the", "the", "my", "my", "our", "a", "last", "the new", "my old"))

    def _detail(self, rng: random.Random) -> str:
        """What comes after "of" or "for": a person, a place, a year, a thing."""
        kind = rng.random()
        if kind < 0.1:
            return rng.choice(self.words.names)
        if kind < 0.18:
            return str(rng.choice(YEARS))
        if kind < 0.26:
            return self.words.made_up(rng).capitalize()
        if kind < 0.38 and self.known:
            return rng.choice(self.known)
        detail = self._head(rng) if kind < 0.8 else self.words.pick(rng, "nouns")
        return f"{rng.choice(('the', 'the', 'my', 'our'))} {detail}" if rng.random() < 0.5 else detail
