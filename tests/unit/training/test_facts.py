"""The fact tables must be true; what a test can see is that they are well-formed, without collisions or stereotypes."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

FACTS = Path(__file__).parents[3] / "training" / "corpus" / "almanac" / "facts"
TABLES = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FACTS.glob("*.yaml"))}
EXPLANATIONS = TABLES.pop("explanations")["items"]
LEAST_FACTS = {
    "country": 1100, "element": 420, "animal": 400, "us_state": 95, "planet": 16, "moon": 30, "word": 160,
    "plural": 55, "verb": 110, "mixture": 12, "thing": 60, "unit": 85, "shape": 45, "instrument": 40, "job": 80,
    "body": 45, "greeting": 70, "invention": 110, "book": 140, "river": 80, "mountain": 60, "landmark": 110,
}  # fmt: skip
GENDERED = re.compile(
    r"\w*(man|men|woman|women|boy|girl|lady|maid|wife)"
    r"|he|she|his|her|male|female|king|queen|master|mistress|nun|monk|actor|actress|waiter|waitress|host|hostess"
    r"|steward|stewardess|seamstress|hero|heroine|landlord"
)
LISTED = {("country", "neighbours")}


def values_of(table: dict) -> list[str]:
    """Every value of a table, lists laid flat."""
    cells = [value for row in table["entities"].values() for value in row.values()]
    return [one for value in cells for one in (value if isinstance(value, list) else [value])]


def bare(name: str) -> str:
    return name.lower().removeprefix("the ")


def test_each_subject_has_enough_facts_and_all_together_3200():
    facts = {table["subject"]: sum(map(len, table["entities"].values())) for table in TABLES.values()}
    assert {subject: facts[subject] for subject in LEAST_FACTS if facts[subject] < LEAST_FACTS[subject]} == {}
    assert facts.keys() == LEAST_FACTS.keys()
    assert sum(facts.values()) >= 3200


def test_no_name_stands_for_two_things():
    names = Counter(bare(name) for table in TABLES.values() for name in table["entities"])
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("stem", TABLES)
def test_no_entity_is_written_twice(stem):
    """YAML keeps the last of two equal keys without a word, so the lines are counted."""
    block = (FACTS / f"{stem}.yaml").read_text(encoding="utf-8").split("\nentities:\n")[1].split("\naliases:\n")[0]
    assert len(block.strip().splitlines()) == len(TABLES[stem]["entities"])


@pytest.mark.parametrize("stem", TABLES)
def test_rows_are_well_formed(stem):
    table = TABLES[stem]
    assert table["article"] in ("none", "indefinite", "definite")
    assert table["source"].strip()
    for entity, row in table["entities"].items():
        assert row, f"{entity} has no facts"
        assert list(row) == [r for r in table["relations"] if r in row], f"{entity}: unknown relation or another order"
        for relation, value in row.items():
            assert isinstance(value, list if (table["subject"], relation) in LISTED else str), f"{entity}: {relation}"


@pytest.mark.parametrize("stem", TABLES)
def test_names_and_values_are_short_clean_strings(stem):
    table = TABLES[stem]
    others = [alias for group in table.get("aliases", {}).values() for alias in group]
    for text in [*table["entities"], *values_of(table), *others]:
        assert isinstance(text, str)
        assert text == " ".join(text.split()) != ""
        assert len(text) <= 40, text


@pytest.mark.parametrize("stem", TABLES)
def test_every_alias_belongs_to_something(stem):
    table = TABLES[stem]
    cells = {f"{entity}|{relation}" for entity, row in table["entities"].items() for relation in row}
    assert set(table.get("aliases", {})) - cells - set(table["entities"]) - set(values_of(table)) == set()


def test_neighbours_are_countries_and_mutual():
    countries = TABLES["countries"]["entities"]
    rows = {name: row["neighbours"] for name, row in countries.items() if "neighbours" in row}
    for name, neighbours in rows.items():
        assert neighbours == sorted(set(neighbours), key=lambda n: n.removeprefix("the ")), name
        assert set(neighbours) <= set(countries) - {name}
        assert all(name in rows[other] for other in neighbours if other in rows), name


@pytest.mark.parametrize(
    ("stem", "relation"),
    [("countries", "internet_code"), ("elements", "symbol"), ("elements", "number"), ("us_states", "abbreviation"),
     ("us_states", "capital"), ("countries", "capital"), ("planets", "position")],
)  # fmt: skip
def test_what_names_one_thing_only_is_not_shared(stem, relation):
    values = [row[relation] for row in TABLES[stem]["entities"].values() if relation in row]
    assert [value for value, count in Counter(values).items() if count > 1] == []


def test_opposites_lead_back():
    """Where both words have a row, each is the opposite of the other, or one of its accepted answers."""
    table = TABLES["opposites"]
    opposite = {word: row["opposite"] for word, row in table["entities"].items()}
    for word, other in opposite.items():
        back = {opposite.get(other, word), *table["aliases"].get(f"{other}|opposite", ())}
        assert word in back, f"{word} -> {other} -> {back}"


def test_solids_obey_euler():
    solids = {name: row for name, row in TABLES["shapes"]["entities"].items() if "faces" in row}
    euler = {name: int(row["corners"]) - int(row["edges"]) + int(row["faces"]) for name, row in solids.items()}
    assert len(euler) >= 10
    assert {name: number for name, number in euler.items() if number != 2} == {}


def test_no_job_is_bound_to_a_gender():
    jobs = TABLES["jobs"]
    texts = [*jobs["entities"], *values_of(jobs), *(alias for group in jobs["aliases"].values() for alias in group)]
    assert [text for text in texts if any(GENDERED.fullmatch(word) for word in text.lower().split())] == []


def test_explanations_hold_their_keywords():
    questions = Counter(item["question"] for item in EXPLANATIONS)
    assert len(questions) == len(EXPLANATIONS) >= 60
    for item in EXPLANATIONS:
        assert item["question"].endswith("?")
        assert item["answer"].endswith(".")
        assert any(keyword.lower() in item["answer"].lower() for keyword in item["keywords"]), item["question"]
