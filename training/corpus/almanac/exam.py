"""The examination: questions with known answers, in wordings that training never uses.

There are two sets. `dev` may be looked at while tuning. `final` stands in a file whose hash was committed before any
tuning; it is opened by `make check-full` and for the final figures only. Training knows both by the hashes of their
four-word runs alone (`held_out_4grams.txt`), and uses none of these runs.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from training.corpus.almanac.names import MadeUpNames
from training.corpus.almanac.requests import Requests
from training.corpus.almanac.wordings import HELD_OUT, Phrasing, capitalised, four_grams, gram_hash, read
from training.corpus.almanac.world import Fact, World

Set = Literal["dev", "final"]
NATURAL = {"dev": "natural_requests_dev", "final": "natural_requests"}
SIZES = {
    "fact": 1000,
    "made_up": 300,
    "near_miss": 300,
    "withheld_entity": 300,
    "premise": 300,
    "tool": 300,
    "now": 150,
    "no_tool": 90,
}


def wordings_of(which: Set) -> list[str]:
    """Every wording of a set as a frame, the hand-written requests with their argument as a placeholder."""
    frames = read(which)
    found = [f for part in ("generic", "premise", "no_tool", "openers", "tails") for f in frames[part]]
    found += [f for relations in frames["specific"].values() for asked in relations.values() for f in asked]
    found += [f for asked in frames["tools"].values() for f in asked]
    for item in read(NATURAL[which])["requests"]:
        request = item["request"]
        for argument in item["arguments"].values():
            request = request.replace(argument, "{p}")
        found.append(request)
    return found


def hide_four_grams() -> None:
    """Write the hashes of the four-word runs of both sets, for training to keep away from."""
    grams = {gram_hash(g) for which in ("dev", "final") for frame in wordings_of(which) for g in four_grams(frame)}
    HELD_OUT.write_text("\n".join(sorted(grams)) + "\n", encoding="utf-8")


class Exam:
    """Draws the questions of one set. `token_count` lets made-up names match real ones in tokens too."""

    def __init__(self, world: World, phrasing: Phrasing, which: Set, token_count: Callable[[str], int] | None = None):
        self.world, self.which = world, which
        self.frames = read(which)
        self.rng = random.Random(f"exam {which}")
        self.names = MadeUpNames(world, testing=True, token_count=token_count)
        self.requests = Requests(phrasing, world.drawable)

    def questions(self) -> Iterator[dict]:
        """All questions, as the eval room reads them: one flat JSON object each."""
        groups = (
            self._facts(),
            self._unknown(),
            self._withheld(),
            self._premises(),
            self._tools(),
            self._natural(),
            self._no_tool(),
        )
        for number, question in enumerate(q for group in groups for q in group):
            yield {"id": f"{self.which}-{number:05d}", **question}

    def _around(self, text: str) -> str:
        """A quarter of the questions come with something before or after them."""
        kind = self.rng.random()
        if kind < 0.15:
            return self.rng.choice(self.frames["openers"]) + text
        return text + self.rng.choice(self.frames["tails"]) if kind < 0.25 else capitalised(text)

    def _asked(self, fact: Fact, entity: str | None = None) -> tuple[str, str]:
        """A question about a fact (of another entity, if given) and the id of its wording."""
        relation = fact.relation
        generic = self.rng.random() < 0.5
        frames = self.frames["generic"] if generic else self.frames["specific"][relation.subject][relation.name]
        place = self.rng.randrange(len(frames))
        filled = frames[place].replace("{r}", self.rng.choice(relation.nouns)).replace("{e}", entity or fact.entity)
        kind = "generic" if generic else f"{relation.subject}.{relation.name}"
        return self._around(filled), f"{self.which}/{kind}/{place}"

    def _row(self, group: str, known: str | None, fact: Fact, entity: str | None = None, **more) -> dict:
        question, wording = self._asked(fact, entity)
        row = {
            "question": question,
            "group": group,
            "known": known,
            "answers": [],
            "wrong": [],
            "entity": entity or fact.entity,
        }
        row |= {"subject": fact.relation.subject, "relation": fact.relation.name, "wording": wording, "tool": None}
        return row | more

    @staticmethod
    def _answers(fact: Fact) -> list[str]:
        return [fact.value, *fact.aliases]

    def _facts(self) -> Iterator[dict]:
        for fact in self.rng.sample(self.world.taught, min(SIZES["fact"], len(self.world.taught))):
            yield self._row("fact", "yes", fact, answers=self._answers(fact))

    def _some_fact(self) -> Fact:
        subject = self.rng.choice(list(self.names.originals))
        return self.rng.choice(self.world.by_relation[self.rng.choice(self.world.relations_of[subject])])

    def _unknown(self) -> Iterator[dict]:
        for group, draw in (("made_up", self.names.draw), ("near_miss", self.names.near_miss)):
            for _ in range(SIZES[group]):
                fact = self._some_fact()
                yield self._row(group, "made_up", fact, draw(self.rng, fact.relation.subject))

    def _withheld(self) -> Iterator[dict]:
        facts = self.world.withheld_entities
        for fact in self.rng.sample(facts, min(SIZES["withheld_entity"], len(facts))):
            yield self._row("withheld_entity", "withheld_entity", fact)
        for fact in self.world.withheld_attributes:
            yield self._row("withheld_attribute", "withheld_attribute", fact, answers=self._answers(fact))

    def _premises(self) -> Iterator[dict]:
        for group, known in (("premise_false", "false_premise"), ("premise_true", "yes")):
            for _ in range(SIZES["premise"]):
                fact = self.rng.choice(self.world.taught)
                values = [v for v in self.world.values[fact.relation] if v not in self._answers(fact)]
                claimed = self.rng.choice(values) if group == "premise_false" and values else fact.value
                place = self.rng.randrange(len(self.frames["premise"]))
                frame, said = self.frames["premise"][place], fact.relation.said(claimed)
                question = (
                    frame.replace("{r}", self.rng.choice(fact.relation.nouns))
                    .replace("{e}", fact.entity)
                    .replace("{w}", said)
                )
                wrong = [] if claimed == fact.value else [claimed]
                row = self._row(group, known, fact, answers=self._answers(fact), wrong=wrong)
                yield row | {"question": capitalised(question), "wording": f"{self.which}/premise/{place}"}

    def _tools(self) -> Iterator[dict]:
        slots = {"generate_image": "{p}", "search_documents": "{q}", "calculate": "{x}", "now": ""}
        for tool, slot in slots.items():
            frames, seen = self.frames["tools"][tool], set()
            for i in range(SIZES["now" if tool == "now" else "tool"]):
                arguments, shown = self._argument(tool)
                question = frames[i % len(frames)].replace(slot, shown) if slot else frames[i % len(frames)]
                question = (
                    self.rng.choice(self.frames["openers"]) + question
                    if i >= len(frames) and self.rng.random() < 0.6
                    else capitalised(question)
                )
                if question not in seen:
                    seen.add(question)
                    yield self._tool_row(
                        f"tool_{tool}", question, f"{self.which}/{tool}/{i % len(frames)}", tool, arguments
                    )

    def _argument(self, tool: str) -> tuple[dict[str, str], str]:
        if tool == "generate_image":
            prompt = self.requests.phrases.picture(self.rng)
            return {"prompt": prompt}, prompt
        if tool == "search_documents":
            query = self.requests.phrases.topic(self.rng)
            return {"query": query}, query
        if tool == "calculate":
            expression, _ = self.requests.expression(self.rng)
            return {"expression": expression}, self.requests._typed_expression(self.rng, expression)
        return {}, ""

    @staticmethod
    def _tool_row(
        group: str, question: str, wording: str, tool: str | None, arguments: dict, also: Sequence[dict] = ()
    ) -> dict:
        row = {
            "question": question,
            "group": group,
            "known": None,
            "answers": [],
            "wrong": [],
            "entity": "",
            "subject": "",
            "relation": "",
        }
        call = {"name": tool, "arguments": arguments, "also": list(also)} if tool else None
        return row | {"wording": wording, "tool": call}

    def _natural(self) -> Iterator[dict]:
        for i, item in enumerate(read(NATURAL[self.which])["requests"]):
            also = [item["arguments"], *(item.get("also") or ())]
            also += [
                {name: text.replace(" ", "") for name, text in call.items()}
                for call in also
                if item["tool"] == "calculate"
            ]
            yield self._tool_row(
                "natural_tool", item["request"], f"{self.which}/natural/{i}", item["tool"], item["arguments"], also[1:]
            )

    def _no_tool(self) -> Iterator[dict]:
        messages = self.frames["no_tool"]
        for i in range(SIZES["no_tool"]):
            message = messages[i % len(messages)]
            opener = self.rng.choice(self.frames["openers"]) if i >= len(messages) else ""
            yield self._tool_row("no_tool", opener + message, f"{self.which}/no_tool/{i % len(messages)}", None, {})


def write_exam(
    world: World, phrasing: Phrasing, folder: Path, which: Set, token_count: Callable[[str], int] | None = None
) -> Path:
    """Write one set as `folder`/dev.jsonl or final.jsonl and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{which}.jsonl"
    lines = (
        json.dumps(question, ensure_ascii=False) for question in Exam(world, phrasing, which, token_count).questions()
    )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    hide_four_grams()
