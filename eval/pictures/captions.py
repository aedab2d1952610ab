"""Says in words what a scene shows."""

import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from eval.pictures.scene import Scene, Thing
from eval.pictures.world import World

TOKEN = re.compile(r"[a-z]+|[,.]")
PLAIN_SHARE = 0.5
"""How many captions of white scenes leave the background unsaid."""


def caption(scene: Scene, rng: random.Random, synonyms: float = 0.15, held_out_wording: bool = False) -> str:
    """A caption in lower case whose tokens (words, commas, full stops) stand between single spaces.

    `synonyms` is the chance that a slot takes another word than its usual one. With `held_out_wording` the template
    is one that no caption without it uses.
    """
    told = wordings()["held_out" if held_out_wording else "training"]
    plain = scene.background == "white" and rng.random() < PLAIN_SHARE
    words = _Words(rng, synonyms)
    seen = _seen(scene, rng.choice(told[scene.kind]), words)
    frame = rng.choice(told["plain" if plain else "named"])
    return _with_articles(frame.format(it=seen, background=words.one("colours", scene.background)))


def vocabulary(world: World) -> list[str]:
    """Every token that a caption of the world's scenes can hold, held-out wordings included; sorted."""
    told = wordings()
    kinds = [name for kind in world.kinds for name in told["kinds"][kind]]
    texts = [name for colour in world.colours for name in told["colours"][colour]]
    texts += [name for relation in world.relations for name in told["relations"][relation]]
    texts += [name for slot in ("sizes", "places") for names in told[slot].values() for name in names]
    if "counted" in world.scene_kinds:
        texts += [plural(name) for name in kinds] + [name for names in told["counts"].values() for name in names]
    for kind in ("named", "plain", *world.scene_kinds):
        texts += [
            re.sub(r"\{\w+\}", "", template) for part in ("training", "held_out") for template in told[part][kind]
        ]
    return sorted({token for text in ("an", *kinds, *texts) for token in TOKEN.findall(text)})


def plural(noun: str) -> str:
    irregular = wordings()["plurals"]
    if noun in irregular:
        return irregular[noun]
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(s|x|sh|ch)$", noun) else "s")


@cache
def wordings() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).with_name("wordings.yaml").read_text(encoding="utf-8"))


class _Words:
    """Chooses the words of one caption."""

    def __init__(self, rng: random.Random, synonyms: float):
        self._rng = rng
        self._synonyms = synonyms

    def one(self, slot: str, meaning: Any) -> str:
        usual, *others = wordings()[slot][meaning]
        return self._rng.choice(others) if others and self._rng.random() < self._synonyms else usual

    def noun(self, thing: Thing, size: str | None, many: bool = False) -> str:
        kind = self.one("kinds", thing.kind)
        adjectives = [self.one("sizes", size)] if size else []
        return " ".join(filter(None, [*adjectives, self.one("colours", thing.colour), plural(kind) if many else kind]))


def _seen(scene: Scene, template: str, words: _Words) -> str:
    things = scene.things
    if scene.kind == "counted":
        return template.format(count=words.one("counts", len(things)), firsts=words.noun(things[0], None, many=True))
    slots = {
        name: words.noun(thing, scene.size) for name, thing in zip(("first", "second", "third"), things, strict=False)
    }
    if scene.relation:
        slots["relation"] = words.one("relations", scene.relation)
    if scene.kind == "placed":
        slots["place"] = words.one("places", scene.place)
    return template.format(**slots)


def _with_articles(text: str) -> str:
    return re.sub(r"\ba (?=[aeiou])", "an ", text)
