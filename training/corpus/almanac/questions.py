"""Exchanges about facts: questions, refusals, premises, follow-ups, lists, yes or no with a reason, explanations.

Every method returns one or more (question, answer) pairs. Premises are answered without a verdict ("You say Lyon. The
capital of France is Paris."): a model of this size learns to recall the fact, but not to compare two spans.
"""

import dataclasses
import random

from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.wordings import Phrasing
from training.corpus.almanac.world import Fact, Relation, World, share_of

Pairs = list[tuple[str, str]]
LISTABLE = {"continent", "family", "class", "planet", "kind", "state", "country"}
PLURALS = {"country": "countries", "us_state": "states"}


class Questions:
    """Draws exchanges about the world. `disguise` puts a made-up name for every real one (for the tokenizer's text)."""

    def __init__(self, world: World, made_up: MadeUpNames, phrasing: Phrasing, disguise: bool = False):
        self.world, self.made_up, self.phrasing, self.disguise = world, made_up, phrasing, disguise
        self.lists = self._lists()

    def fact(self, rng: random.Random) -> Fact:
        fact = rng.choice(self.world.taught)
        if self.disguise and fact.relation.subject in self.made_up.originals:
            return dataclasses.replace(fact, entity=self.made_up.draw(rng, fact.relation.subject))
        return fact

    def _asked(self, rng: random.Random, relation: Relation, entity: str) -> str:
        frame = self.phrasing.question(rng, relation)
        return self._filled(rng, frame, relation, entity)

    def _filled(self, rng: random.Random, frame: str, relation: Relation, entity: str, value: str = "") -> str:
        words = {
            "{r}": rng.choice(relation.nouns),
            "{e}": entity,
            "{w}": relation.said(value),
            "{name}": rng.choice(self.phrasing.words.names),
        }
        for slot, word in words.items():
            frame = frame.replace(slot, word)
        return self.phrasing.typed(rng, frame, keep=(entity, value))

    def known(self, rng: random.Random) -> Pairs:
        fact = self.fact(rng)
        question = self._asked(rng, fact.relation, fact.entity)
        return [(question.lower() if rng.random() < 0.08 else question, fact.statement)]

    def unknown(self, rng: random.Random) -> Pairs:
        """Something made up, a near miss of a real name, or a relation that no table holds."""
        kind = rng.random()
        subject = rng.choice(list(self.made_up.originals))
        if kind < 0.1:
            return self._never_known(rng)
        if kind < 0.14:
            relation = rng.choice(self.world.relations_of[subject])
            entity = self.phrasing.words.made_up(rng).capitalize()
        else:
            relation = rng.choice(self.world.relations_of[subject])
            entity = self.made_up.near_miss(rng, subject) if kind < 0.36 else self.made_up.draw(rng, subject)
        return [(self._asked(rng, relation, entity), relation.unknown(entity))]

    def _never_known(self, rng: random.Random) -> Pairs:
        subject = rng.choice([s for s in self.world.never_known if self.world.known_names.get(s)])
        noun = rng.choice(self.world.never_known[subject])
        relation = Relation(
            subject, noun, (noun,), ("What {r} does {e} have?", "{e}: {r}?", "I wonder about the {r} of {e}."), (noun,)
        )
        entity = rng.choice(self.world.known_names[subject])
        return [(self._asked(rng, relation, entity), relation.unknown(entity))]

    def premise(self, rng: random.Random) -> Pairs:
        """A claimed value: true and false ones in equal numbers, and some about things that do not exist."""
        fact = self.fact(rng)
        claimed = fact.value if rng.random() < 0.45 else self.wrong_value(rng, fact)
        entity = fact.entity
        answer = f"You say {fact.relation.said(claimed)}. {fact.statement}"
        if fact.relation.subject in self.made_up.originals and rng.random() < 0.15:
            draw = self.made_up.draw if rng.random() < 0.6 else self.made_up.near_miss
            entity = draw(rng, fact.relation.subject)
            answer = fact.relation.unknown(entity)
        frame = self.phrasing.premise(rng)
        return [(self._filled(rng, frame, fact.relation, entity, claimed), answer)]

    def wrong_value(self, rng: random.Random, fact: Fact) -> str:
        values = self.world.values[fact.relation]
        wrong = [v for v in (rng.choice(values) for _ in range(8)) if v != fact.value and v not in fact.aliases]
        return wrong[0] if wrong else next(v for v in values if v != fact.value)

    def follow_up(self, rng: random.Random) -> Pairs:
        """A question, then a shorter one that leans on it ("And its currency?", "What about Spain?")."""
        first = self.fact(rng)
        others = [f for f in self.world.about.get(first.entity, ()) if f.relation != first.relation]
        frames = self.phrasing.frames["followup"]
        if others and rng.random() < 0.6:
            second, frame = rng.choice(others), rng.choice(frames["relation"])
            answer = second.statement
        else:
            second, frame = rng.choice(self.world.by_relation[first.relation]), rng.choice(frames["entity"])
            answer = second.statement
            if first.relation.subject in self.made_up.originals and rng.random() < 0.25:
                second = dataclasses.replace(second, entity=self.made_up.draw(rng, first.relation.subject))
                answer = second.relation.unknown(second.entity)
        opening = (self._asked(rng, first.relation, first.entity), first.statement)
        return [opening, (self._filled(rng, frame, second.relation, second.entity), answer)]

    def _lists(self) -> list[tuple[Relation, str, list[str]]]:
        found = []
        for relation, facts in self.world.by_relation.items():
            if relation.name not in LISTABLE:
                continue
            for value in self.world.values[relation]:
                members = sorted(
                    (f.entity for f in facts if f.value == value), key=lambda name: share_of(f"list|{name}")
                )
                if len(members) >= 3:
                    found.append((relation, value, members[:3]))
        return found

    def listing(self, rng: random.Random) -> Pairs:
        relation, value, (a, b, c) = rng.choice(self.lists)
        subject = PLURALS.get(relation.subject, f"{relation.subject}s")
        frame = self.phrasing.free(lambda r: r.choice(self.phrasing.frames["listing"]), rng)
        question = frame.format(s=subject, v=value, r=rng.choice(relation.nouns))
        return [
            (
                self.phrasing.typed(rng, question, keep=(value,)),
                f"Three {subject} with {value} as {relation.noun}: {a}, {b} and {c}.",
            )
        ]

    def yes_no(self, rng: random.Random) -> Pairs:
        """The reason comes first, the verdict after it."""
        fact = self.fact(rng)
        true = rng.random() < 0.5
        claimed = fact.value if true else self.wrong_value(rng, fact)
        frame = self.phrasing.free(lambda r: r.choice(self.phrasing.frames["yes_no"]), rng)
        question = self._filled(rng, frame, fact.relation, fact.entity, claimed)
        return [
            (question, f"You say {fact.relation.said(claimed)}. {fact.statement[:-1]}, so {'yes' if true else 'no'}.")
        ]

    def explanation(self, rng: random.Random) -> Pairs:
        item = rng.choice(self.world.explanations)
        question = self.phrasing._dressed(rng, item["question"]) if rng.random() < 0.5 else item["question"]
        return [(self.phrasing.typed(rng, question), item["answer"])]
