"""The almanac's world: what is true, what the assistant is taught of it, and what is kept from it.

Facts come from the tables in `facts/`. A few entities are withheld whole (no sentence of the corpus names them) and a
few single facts of known entities are withheld; both are chosen by a hash of their names, so that adding a row to a
table moves nothing else.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
WORDINGS = ("vocabulary", "rare_words", "relations", "frames", "requests", "smalltalk")
WITHHELD_ENTITIES = 0.06
WITHHELD_ATTRIBUTES = 0.03
OPEN_SUBJECTS = (
    "country",
    "element",
    "animal",
    "us_state",
    "moon",
    "invention",
    "book",
    "river",
    "mountain",
    "landmark",
)
"""Subjects whose names a person cannot list by heart: only here are entities withheld and made up."""
DRAWABLE_SUBJECTS = (
    *("country", "animal", "us_state", "planet", "moon", "thing", "shape", "invention", "book", "river", "mountain"),
    *("landmark", "instrument", "job"),
)
"""Subjects whose things one may want drawn or have papers about."""


def read_yaml(path: Path) -> dict:
    """A parsed file; by libyaml where PyYAML has it, which is ten times as fast."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def share_of(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone: the same on every machine and in every version of Python."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") / 2**48


def with_article(name: str, article: str) -> str:
    """`name` as it stands in the middle of a sentence; `article` is none, definite or indefinite."""
    if article == "definite":
        return f"the {name}"
    return f"{indefinite(name)} {name}" if article == "indefinite" else name


def indefinite(word: str) -> str:
    """The indefinite article in front of `word`."""
    sounds_open = word[0].lower() in "aeiou" and not word.lower().startswith(("uni", "eu", "one", "use", "uku"))
    return "an" if sounds_open else "a"


@dataclass(frozen=True)
class Relation:
    """How a relation is named (`nouns`, the first one in answers), asked for, and recognised (`keywords`)."""

    subject: str
    name: str
    nouns: tuple[str, ...]
    ask: tuple[str, ...]
    keywords: tuple[str, ...]
    article: str = ""
    plural: bool = False

    @property
    def noun(self) -> str:
        return self.nouns[0]

    def said(self, value: str) -> str:
        """The value as an answer states it: "the euro" for the currency "euro"."""
        return f"{self.article} {value}".strip()

    def statement(self, entity: str, value: str) -> str:
        return f"The {self.noun} of {entity} {'are' if self.plural else 'is'} {self.said(value)}."

    def unknown(self, entity: str) -> str:
        """The refusal. It comes late in the sentence: the model first recalls whom and what it is asked about."""
        return f"The {self.noun} of {entity} {'are' if self.plural else 'is'} something I don't know."


@dataclass(frozen=True)
class Fact:
    """One cell of one table. `entity` carries its article; `aliases` are other right spellings of `value`."""

    relation: Relation
    entity: str
    value: str
    aliases: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.relation.subject}|{self.entity}|{self.relation.name}"

    @property
    def statement(self) -> str:
        return self.relation.statement(self.entity, self.value)


def _value_text(value) -> str:
    if not isinstance(value, list):
        return str(value)
    if not value:
        return "none"
    return value[0] if len(value) == 1 else f"{', '.join(value[:-1])} and {value[-1]}"


class World:
    """All tables, split into what is taught and what is withheld."""

    def __init__(self, folder: Path = FOLDER):
        wordings = folder / "wordings"
        names = read_yaml(wordings / "relations.yaml")
        written = " ".join((wordings / f"{file}.yaml").read_text(encoding="utf-8").lower() for file in WORDINGS)
        self.plain_words = set(re.findall(r"[\w'-]+", written))
        self.never_known: dict[str, list[str]] = names.pop("never_known")
        self.relations = {
            (subject, name): Relation(
                subject=subject,
                name=name,
                nouns=tuple(entry["nouns"]),
                ask=tuple(entry["ask"]),
                keywords=tuple(entry["keywords"].split()),
                article=entry.get("article", ""),
                plural=entry.get("plural", False),
            )
            for subject, relations in names.items()
            for name, entry in relations.items()
        }
        tables = [read_yaml(path) for path in sorted((folder / "facts").glob("*.yaml"))]
        self.explanations = [item for table in tables for item in table.get("items", [])]
        self.stored: list[Fact] = []
        self.names: dict[str, list[str]] = {}
        for table in tables:
            if "entities" in table:
                self._read(table)
        self._split()

    def _read(self, table: dict) -> None:
        subject, article, aliases = table["subject"], table.get("article", "none"), table.get("aliases") or {}
        for name, row in table["entities"].items():
            entity = with_article(str(name), article)
            self.names.setdefault(subject, []).append(entity)
            for relation, value in row.items():
                text = _value_text(value)
                others = [*aliases.get(f"{name}|{relation}", []), *aliases.get(text, [])]
                fact = Fact(self.relations[subject, relation], entity, text, tuple(map(str, others)))
                self.stored.append(fact)

    def _split(self) -> None:
        withheld = {
            (subject, name)
            for subject in OPEN_SUBJECTS
            for name in self.names.get(subject, ())
            if self._is_withheld(subject, name)
        }
        hidden = [name for _, name in withheld]
        self.withheld_entities = [f for f in self.stored if (f.relation.subject, f.entity) in withheld]
        known = [
            f
            for f in self.stored
            if (f.relation.subject, f.entity) not in withheld and not any(name in f.value for name in hidden)
        ]
        self.withheld_attributes = [f for f in known if share_of(f"attribute|{f.key}") < WITHHELD_ATTRIBUTES]
        kept_back = {f.key for f in self.withheld_attributes}
        self.taught = [f for f in known if f.key not in kept_back]

    def _is_withheld(self, subject: str, name: str) -> bool:
        """Names that are part of another name (Guinea) and plain words (cow) never are: they would be named anyway."""
        if share_of(f"entity|{subject}|{name}") >= WITHHELD_ENTITIES or name.split()[-1].lower() in self.plain_words:
            return False
        everything = (other for names in self.names.values() for other in names if other != name)
        return not any(name.lower() in other.lower() or other.lower() in name.lower().split() for other in everything)

    @cached_property
    def about(self) -> dict[str, list[Fact]]:
        """Taught facts by entity."""
        found: dict[str, list[Fact]] = {}
        for fact in self.taught:
            found.setdefault(fact.entity, []).append(fact)
        return found

    @cached_property
    def by_relation(self) -> dict[Relation, list[Fact]]:
        found: dict[Relation, list[Fact]] = {}
        for fact in self.taught:
            found.setdefault(fact.relation, []).append(fact)
        return found

    @cached_property
    def values(self) -> dict[Relation, list[str]]:
        """The different values a relation takes among taught facts."""
        return {relation: sorted({f.value for f in facts}) for relation, facts in self.by_relation.items()}

    @cached_property
    def relations_of(self) -> dict[str, list[Relation]]:
        found: dict[str, list[Relation]] = {}
        for relation in self.by_relation:
            found.setdefault(relation.subject, []).append(relation)
        return found

    @cached_property
    def known_names(self) -> dict[str, list[str]]:
        """Entities by subject, without the withheld ones."""
        return {s: [n for n in names if n in self.about] for s, names in self.names.items()}

    @cached_property
    def drawable(self) -> list[str]:
        return [name for subject in DRAWABLE_SUBJECTS for name in self.known_names[subject]]
